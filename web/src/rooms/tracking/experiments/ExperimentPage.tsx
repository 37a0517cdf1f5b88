import { useQuery } from "@tanstack/react-query";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useCallback, useMemo, useState } from "react";
import { address } from "../../../api/client";
import { plural } from "../../../format/number";
import { Answer } from "../../../ui/Answer";
import { Empty } from "../../../ui/Empty";
import { PageHead } from "../../../ui/PageHead";
import { Source } from "../../../ui/Source";
import { experimentsQuery, runKeysQuery } from "../queries";
import { type ExperimentSearch, words } from "../search";
import { ExperimentLife } from "../lifecycle/ExperimentLife";
import { experimentLifecycleQuery } from "../lifecycle/queries";
import { type RunKeys, shownColumns } from "./columns";
import { Compare } from "./Compare";
import { RunsCard } from "./RunsCard";
import { useRuns } from "./useRuns";

export function ExperimentPage() {
  const { experiment } = useParams({ from: "/experiments/$experiment" });
  const experiments = useQuery(experimentsQuery());
  const keys = useQuery(runKeysQuery(experiment));
  const everywhere = experiment === "*";
  const life = useQuery({ ...experimentLifecycleQuery(experiment), enabled: !everywhere });
  const listed = experiments.data?.find((entry) => entry.id === experiment)?.name;
  const name = listed ?? life.data?.name ?? experiment;
  return (
    <>
      <PageHead
        title={everywhere ? "All experiments" : name}
        status={life.data?.deleted && <span className="wrong">deleted</span>}
        about={keys.data ? plural(keys.data.total, "tracked run") : undefined}
      />
      <Answer query={keys} rows={8}>
        {(found) =>
          found.total === 0 ? (
            <Empty
              what={life.data?.deleted ? "This experiment is deleted, with its runs." : "No run in this experiment."}
              command={life.data?.deleted ? undefined : `MLFLOW_TRACKING_URI=${window.location.origin} python train.py`}
            />
          ) : (
            <ExperimentBody key={experiment} experiment={experiment} newest={found} />
          )
        }
      </Answer>
      {!everywhere && <ExperimentLife key={experiment} experiment={experiment} />}
    </>
  );
}

function ExperimentBody({ experiment, newest }: { experiment: string; newest: RunKeys }) {
  const search = useSearch({ from: "/experiments/$experiment" });
  const navigate = useNavigate({ from: "/experiments/$experiment" });
  const set = useCallback(
    (change: ExperimentSearch) =>
      void navigate({ search: (before) => ({ ...before, ...change }), replace: true, resetScroll: false }),
    [navigate],
  );
  const apply = (view: ExperimentSearch) => void navigate({ search: view, resetScroll: false });
  const columns = useMemo(() => shownColumns(newest, words(search.columns)), [newest, search.columns]);
  const columnKeys = useMemo(() => columns.map((column) => column.key), [columns]);
  const { filter, sort } = search;
  const asked = useMemo(() => ({ experiment, filter, sort }), [experiment, filter, sort]);
  const runs = useRuns({ ...asked, columns: columnKeys });
  // A wrong filter leaves the charts as they are, as it leaves the rows.
  const [good, setGood] = useState(asked);
  if (good !== asked && !runs.old && !runs.error && runs.rows) setGood(asked);
  const keys = useMemo(
    () => ({
      metric_keys: [...new Set([...newest.metric_keys, ...runs.metricKeys])],
      param_keys: [...new Set([...newest.param_keys, ...runs.paramKeys])],
    }),
    [newest, runs.metricKeys, runs.paramKeys],
  );
  const selected = useMemo(() => words(search.runs), [search.runs]);
  const path = `/api/experiments/${encodeURIComponent(experiment)}/runs`;
  const given = { filter: search.filter, sort: search.sort, columns: search.columns };
  return (
    <>
      <RunsCard
        experiment={experiment}
        runs={runs}
        keys={keys}
        columns={columns}
        selected={selected}
        search={search}
        onChange={set}
        onApply={apply}
      />
      <Compare
        asked={good}
        keys={keys}
        columns={columns}
        rows={runs.rows}
        selected={selected}
        search={search}
        onChange={set}
      />
      <Source
        cli={`curl -s '${window.location.origin}${address(path, given).replaceAll("'", "%27")}'`}
        json={runs.rows?.slice(0, 20)}
      />
    </>
  );
}
