import { useQuery } from "@tanstack/react-query";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import type { TrackedRunPage } from "../../../api/types.gen";
import { plural } from "../../../format/number";
import { Answer } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { Empty } from "../../../ui/Empty";
import { PageHead } from "../../../ui/PageHead";
import { Source } from "../../../ui/Source";
import { experimentsQuery, trackedRunsQuery } from "../queries";
import { type ExperimentSearch, words } from "../search";
import { ColumnChooser } from "./ColumnChooser";
import { nextSort, shownColumns } from "./columns";
import { CompareRuns } from "./CompareRuns";
import { Curves } from "./Curves";
import { TrackedRunTable } from "./TrackedRunTable";

const LIMIT = 2000;

export function ExperimentPage() {
  const { experiment } = useParams({ from: "/experiments/$experiment" });
  const search = useSearch({ from: "/experiments/$experiment" });
  const experiments = useQuery(experimentsQuery());
  const runs = useQuery(trackedRunsQuery(experiment, search.sort, LIMIT));
  const name = experiments.data?.find((entry) => entry.id === experiment)?.name ?? experiment;
  return (
    <>
      <PageHead title={name} about={runs.data ? plural(runs.data.total, "tracked run") : undefined} />
      <Answer query={runs} rows={8}>
        {(page) =>
          page.runs.length === 0 ? (
            <Empty
              what="No run in this experiment yet."
              command={`MLFLOW_TRACKING_URI=${window.location.origin} python train.py`}
            />
          ) : (
            <ExperimentBody page={page} />
          )
        }
      </Answer>
      <Source
        cli={`curl -s ${window.location.origin}/api/experiments/${experiment}/runs`}
        json={runs.data?.runs.slice(0, 20)}
      />
    </>
  );
}

function ExperimentBody({ page }: { page: TrackedRunPage }) {
  const search = useSearch({ from: "/experiments/$experiment" });
  const navigate = useNavigate({ from: "/experiments/$experiment" });
  const set = (change: ExperimentSearch) => void navigate({ search: { ...search, ...change }, replace: true });
  const columns = shownColumns(page, words(search.columns));
  const selected = words(search.runs);
  const charted = selected.length > 0 ? page.runs.filter((run) => selected.includes(run.id)) : page.runs.slice(0, 10);
  const toggle = (id: string) => {
    const next = selected.includes(id) ? selected.filter((entry) => entry !== id) : [...selected, id];
    set({ runs: next.join(",") || undefined });
  };
  return (
    <>
      <Card
        flush
        title="Runs"
        actions={
          <>
            {selected.length > 0 && (
              <button type="button" className="button quiet" onClick={() => set({ runs: undefined })}>
                Clear {selected.length} selected
              </button>
            )}
            <ColumnChooser
              page={page}
              shown={columns}
              onChange={(keys) => set({ columns: keys.join(",") || undefined })}
            />
          </>
        }
      >
        <TrackedRunTable
          runs={page.runs}
          columns={columns}
          sort={search.sort}
          onSort={(key) => set({ sort: nextSort(search.sort, key) })}
          selected={selected}
          onToggle={toggle}
        />
      </Card>
      {selected.length > 1 && (
        <CompareRuns runs={charted} every={!search.diff} onEvery={(every) => set({ diff: every ? undefined : true })} />
      )}
      <Curves runs={charted} keys={page.metric_keys} search={search} onChange={set} />
    </>
  );
}
