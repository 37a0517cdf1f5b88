import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useMemo } from "react";
import type { TrackedRun } from "../../../api/types.gen";
import { number } from "../../../format/number";
import { dateTime, span } from "../../../format/time";
import { Answer } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { Facts } from "../../../ui/Facts";
import { PageHead } from "../../../ui/PageHead";
import { Source } from "../../../ui/Source";
import { Status } from "../../../ui/Status";
import { useNow } from "../../../ui/useNow";
import { trackedRunQuery } from "../queries";
import type { CurveSearch } from "../search";
import { RunLife } from "../lifecycle/RunLife";
import { Artifacts } from "./Artifacts";
import { Curves } from "./Curves";

export function TrackedRunPage() {
  const { run } = useParams({ from: "/tracked/$run" });
  const query = useQuery(trackedRunQuery(run));
  return <Answer query={query}>{(found) => <TrackedRunBody run={found} />}</Answer>;
}

const NO_GROUPS: string[] = [];

function TrackedRunBody({ run }: { run: TrackedRun }) {
  const now = useNow(run.end_time === null);
  const search = useSearch({ from: "/tracked/$run" });
  const navigate = useNavigate({ from: "/tracked/$run" });
  const set = (change: CurveSearch) =>
    void navigate({ search: { ...search, ...change }, replace: true, resetScroll: false });
  const runs = useMemo(() => [run], [run]);
  const keys = Object.keys(run.metrics);
  const tags = Object.entries(run.tags).filter(([name]) => !name.startsWith("mlflow.log-model"));
  return (
    <>
      <PageHead
        title={run.name}
        status={<Status status={run.status} />}
        about={`${dateTime(run.start_time)}, took ${span(run.start_time, run.end_time, now)}`}
        actions={
          <>
            <Link to="/experiments/$experiment" params={{ experiment: run.experiment_id }} className="button">
              Experiment
            </Link>
            {run.pipeline_run_id && (
              <Link
                to="/runs/$run"
                params={{ run: run.pipeline_run_id }}
                search={{ step: run.step ?? undefined }}
                className="button"
              >
                Pipeline run
              </Link>
            )}
          </>
        }
      />
      <div className="cards">
        <Card title="Metrics">
          <Facts facts={keys.map((name) => [name, number(run.metrics[name])])} />
          {keys.length === 0 && <p className="muted">No metric logged.</p>}
        </Card>
        <Card title="Parameters">
          <Facts facts={Object.entries(run.params)} />
          {Object.keys(run.params).length === 0 && <p className="muted">No parameter logged.</p>}
        </Card>
        <Card title="Tags">
          <Facts facts={tags} />
          {tags.length === 0 && <p className="muted">No tag.</p>}
        </Card>
      </div>
      {keys.length > 0 && (
        <Card title="Curves">
          <Curves runs={runs} keys={keys} groups={NO_GROUPS} search={search} onChange={set} />
        </Card>
      )}
      <Artifacts run={run.id} />
      <RunLife run={run} />
      <Source
        cli={`MLFLOW_TRACKING_URI=${window.location.origin} mlflow runs describe --run-id ${run.id}`}
        json={run}
      />
    </>
  );
}
