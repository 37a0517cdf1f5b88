import "../../../ui/windows.css";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import type { WindowListView } from "../../../api/types.gen";
import { Answer } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { Empty } from "../../../ui/Empty";
import { PageHead } from "../../../ui/PageHead";
import { Source } from "../../../ui/Source";
import { Tabs } from "../../../ui/Tabs";
import { windowsQuery } from "../queries";
import { TriggerTable } from "../triggers/TriggerTable";
import { BackfillForm } from "./BackfillForm";
import { WindowDependencies } from "./WindowDependencies";
import { WindowsCard } from "./WindowsCard";

/** Windows that are shown at once, and the most that one can ask for. */
const FIRST = 1_000;
const MOST = 5_000;

/** The windows of a pipeline: how each is, what they wait for, and running some again. */
export function WindowsPage() {
  const { name } = useParams({ from: "/pipelines/$name/windows" });
  const { trigger } = useSearch({ from: "/pipelines/$name/windows" });
  const [limit, setLimit] = useState(FIRST);
  const first = useQuery(windowsQuery(name, trigger, limit));
  return (
    <>
      <PageHead
        title={`Windows of ${name}`}
        about="Intervals of time, each of which must succeed once."
        actions={
          <Link to="/pipelines/$name" params={{ name }} className="button">
            Pipeline
          </Link>
        }
      />
      <Answer query={first} rows={6}>
        {(list) => (
          <WindowsBody
            pipeline={name}
            list={list}
            wanted={trigger}
            more={limit < MOST && list.windows.length >= limit ? () => setLimit(MOST) : undefined}
          />
        )}
      </Answer>
      <Source cli={`millrace windows ${name}`} json={first.data} />
    </>
  );
}

interface WindowsBodyProps {
  pipeline: string;
  list: WindowListView;
  wanted: string | undefined;
  more: (() => void) | undefined;
}

function WindowsBody({ pipeline, list, wanted, more }: WindowsBodyProps) {
  const navigate = useNavigate({ from: "/pipelines/$name/windows" });
  const trigger = list.triggers.find((entry) => entry.trigger === wanted) ?? list.triggers[0];
  if (!trigger) {
    return (
      <Card>
        <Empty
          what="This pipeline has no trigger with windows. Write one into its file:"
          command="triggers: {daily: {window: 1d, from: 2026-01-01}}"
        />
      </Card>
    );
  }
  const windows = list.windows.filter((window) => window.trigger === trigger.trigger);
  const body = (
    <>
      <Card flush>
        <TriggerTable triggers={[trigger]} />
      </Card>
      <Card title="Dependencies">
        <WindowDependencies pipeline={pipeline} trigger={trigger.trigger} list={list} />
      </Card>
      <WindowsCard key={trigger.trigger} pipeline={pipeline} trigger={trigger} windows={windows} more={more} />
      <Card title="Backfill">
        <BackfillForm pipeline={pipeline} trigger={trigger.trigger} zone={trigger.timezone} />
      </Card>
    </>
  );
  if (list.triggers.length === 1) return body;
  return (
    <Tabs
      tabs={list.triggers.map((entry) => ({ key: entry.trigger, label: entry.trigger }))}
      value={trigger.trigger}
      onChange={(next) => void navigate({ search: { trigger: next }, replace: true })}
      label="triggers with windows"
    >
      {body}
    </Tabs>
  );
}
