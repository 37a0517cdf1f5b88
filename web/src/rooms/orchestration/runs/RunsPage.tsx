import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { plural } from "../../../format/number";
import { Answer } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { Empty } from "../../../ui/Empty";
import { PageHead } from "../../../ui/PageHead";
import { isOver, pipelinesQuery, runsQuery } from "../queries";
import { AGES, type RunsSearch } from "../search";
import { CancelRuns } from "./CancelRuns";
import { RunFilters } from "./RunFilters";
import { RunTable } from "./RunTable";

const MINUTE = 60_000;

export function RunsPage() {
  const search = useSearch({ from: "/runs" });
  const navigate = useNavigate({ from: "/runs" });
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const { age, ...filter } = search;
  // To the minute, so that the same list has the same key for a while.
  const since = useMemo(() => sinceOf(age), [age]);
  const runs = useQuery(runsQuery({ ...filter, since, limit: 50 }));
  const pipelines = useQuery(pipelinesQuery());
  const set = (change: Partial<RunsSearch>) =>
    void navigate({ search: { ...search, after: undefined, ...change }, replace: change.after === undefined });
  const narrowed = Object.values(search).some(Boolean);
  const open = (runs.data?.runs ?? []).filter((run) => !isOver(run.status)).map((run) => run.id);
  const picked = open.filter((id) => chosen.has(id));
  return (
    <>
      <PageHead
        title="Runs"
        about="Executions of pipelines, newest first."
        actions={
          <>
            {open.length > 0 && <CancelRuns open={open} picked={picked} onDone={() => setChosen(new Set())} />}
            <Link to="/timeline" className="button">
              Timeline
            </Link>
          </>
        }
      />
      <RunFilters
        search={search}
        pipelines={pipelines.data ?? []}
        seen={(runs.data?.runs ?? []).map((run) => run.trigger)}
        onChange={set}
      />
      {runs.data && (
        <p className="muted small" aria-live="polite">
          {plural(runs.data.total, "run")}
          {runs.data.next ? " on this page" : ""}
        </p>
      )}
      <Card flush>
        <Answer query={runs} rows={8}>
          {(page) =>
            page.runs.length === 0 && narrowed ? (
              <Empty what="No run is like that.">
                <button type="button" className="button" onClick={() => void navigate({ search: {} })}>
                  Show all runs
                </button>
              </Empty>
            ) : (
              <RunTable
                runs={page.runs}
                hint="millrace run PIPELINE"
                chosen={open.length > 0 ? chosen : undefined}
                onChoose={setChosen}
              />
            )
          }
        </Answer>
      </Card>
      <div className="row">
        {search.after && (
          <button type="button" className="button" onClick={() => set({ after: undefined })}>
            Newest
          </button>
        )}
        {runs.data?.next && (
          <button type="button" className="button" onClick={() => set({ after: runs.data.next ?? undefined })}>
            Older
          </button>
        )}
      </div>
    </>
  );
}

function sinceOf(age: string | undefined): string | undefined {
  const hours = age === undefined ? undefined : AGES[age];
  if (hours === undefined) return undefined;
  return new Date(Math.floor(Date.now() / MINUTE) * MINUTE - hours * 60 * MINUTE).toISOString();
}
