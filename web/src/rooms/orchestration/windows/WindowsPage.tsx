import "../../../ui/windows.css";
import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { useState } from "react";
import type { WindowListView, WindowView } from "../../../api/types.gen";
import { Answer } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { Empty } from "../../../ui/Empty";
import { PageHead } from "../../../ui/PageHead";
import { Source } from "../../../ui/Source";
import { Status } from "../../../ui/Status";
import { windowsQuery } from "../queries";
import { TriggerTable } from "../triggers/TriggerTable";
import { WindowDependencies } from "./WindowDependencies";
import { WindowGrid } from "./WindowGrid";
import { WindowRangePanel } from "./WindowRangePanel";
import { rangeOf } from "./grid";

/** The windows of a pipeline: how each is, what they wait for, and running some again. */
export function WindowsPage() {
  const { name } = useParams({ from: "/pipelines/$name/windows" });
  const windows = useQuery(windowsQuery(name));
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
      <Answer query={windows} rows={6}>
        {(list) => <WindowsBody pipeline={name} list={list} />}
      </Answer>
      <Source cli={`millrace windows ${name}`} json={windows.data} />
    </>
  );
}

function WindowsBody({ pipeline, list }: { pipeline: string; list: WindowListView }) {
  const [ends, setEnds] = useState<[string, string] | null>(null);
  const find = (start: string | undefined) => list.windows.find((window) => window.start === start);
  const first = find(ends?.[0]);
  const last = find(ends?.[1]);
  const picked = first && last ? rangeOf(first, last) : null;
  const pick = (window: WindowView, extend: boolean) =>
    setEnds((now) => (extend && now ? [now[0], window.start] : [window.start, window.start]));
  if (list.triggers.length === 0) {
    return (
      <Card>
        <Empty what="This pipeline has no trigger with windows. Write one into its file:" command="triggers: {daily: {window: 1d, from: 2026-01-01}}" />
      </Card>
    );
  }
  return (
    <>
      <Card flush>
        <TriggerTable triggers={list.triggers} />
      </Card>
      <Card title="Dependencies">
        <WindowDependencies pipeline={pipeline} list={list} />
      </Card>
      <Card title="Windows" actions={<Legend windows={list.windows} />}>
        {list.windows.length === 0 ? (
          <p className="muted">No window is over yet.</p>
        ) : (
          <div className="window-page">
            <WindowGrid windows={list.windows} picked={picked} onPick={pick} />
            <WindowRangePanel pipeline={pipeline} window={last} range={picked} />
          </div>
        )}
      </Card>
    </>
  );
}

/** The states that are there, with how many windows are in each. */
function Legend({ windows }: { windows: WindowView[] }) {
  const states = Map.groupBy(windows, (window) => window.state);
  return (
    <>
      {[...states].map(([state, found]) => (
        <span key={state} className="row small" style={{ gap: 4 }}>
          <Status status={state} /> {found.length}
        </span>
      ))}
    </>
  );
}
