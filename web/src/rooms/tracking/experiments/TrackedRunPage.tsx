import "../../../ui/files.css";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useMemo } from "react";
import type { TrackedRun } from "../../../api/types.gen";
import { dateTime, span } from "../../../format/time";
import { Answer } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { PageHead } from "../../../ui/PageHead";
import { Source } from "../../../ui/Source";
import { Status } from "../../../ui/Status";
import { Tabs } from "../../../ui/Tabs";
import { useNow } from "../../../ui/useNow";
import { join, storePath } from "../artifacts/addresses";
import { ArtifactBrowser } from "../artifacts/ArtifactBrowser";
import { folderQuery } from "../artifacts/queries";
import { imagesByKey } from "../artifacts/series";
import { trackedRunQuery } from "../queries";
import { RunLife } from "../lifecycle/RunLife";
import type { RunTab, TrackedRunSearch } from "../search";
import { TracesOf } from "../traces/TracesOf";
import { Curves } from "./Curves";
import { ImageGrid } from "./ImageGrid";
import { RunOverview } from "./RunOverview";

export function TrackedRunPage() {
  const { run } = useParams({ from: "/tracked/$run" });
  const query = useQuery(trackedRunQuery(run));
  return <Answer query={query}>{(found) => <TrackedRunBody key={found.id} run={found} />}</Answer>;
}

const NO_GROUPS: string[] = [];
const SYSTEM = "system/";
const NO_NAMES: string[] = [];

function TrackedRunBody({ run }: { run: TrackedRun }) {
  const now = useNow(run.end_time === null);
  const search = useSearch({ from: "/tracked/$run" });
  const navigate = useNavigate({ from: "/tracked/$run" });
  const set = (change: TrackedRunSearch) =>
    void navigate({ search: { ...search, ...change }, replace: true, resetScroll: false });
  const runs = useMemo(() => [run], [run]);
  const keys = useMemo(() => Object.keys(run.metrics), [run.metrics]);
  const system = keys.filter((key) => key.startsWith(SYSTEM));
  const own = keys.filter((key) => !key.startsWith(SYSTEM));
  const root = storePath(run.artifact_uri);
  const folder = join(root ?? "", "images");
  const inside = useQuery({ ...folderQuery(folder), enabled: root !== null });
  const images = useMemo(() => inside.data?.map((file) => file.path) ?? NO_NAMES, [inside.data]);
  const tabs: { key: RunTab; label: string; shown: boolean }[] = [
    { key: "overview", label: "Overview", shown: true },
    { key: "curves", label: "Curves", shown: own.length > 0 },
    { key: "images", label: "Images by step", shown: imagesByKey(images).size > 0 },
    { key: "system", label: "System metrics", shown: system.length > 0 },
    { key: "artifacts", label: "Artifacts", shown: true },
    { key: "traces", label: "Traces", shown: true },
  ];
  const tab = search.tab ?? "overview";
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
      <Tabs
        tabs={tabs.filter(({ key, shown }) => shown || key === tab)}
        value={tab}
        onChange={(next) => set({ tab: next, ...(next !== "artifacts" && { file: undefined }) })}
        label="parts of the run"
      >
        {tab === "overview" && <RunOverview run={run} metrics={own} />}
        {tab === "curves" && (
          <Card title="Curves">
            <Curves runs={runs} keys={own} groups={NO_GROUPS} search={search} onChange={set} />
          </Card>
        )}
        {tab === "system" && (
          <Card title="System metrics">
            <Curves runs={runs} keys={system} groups={NO_GROUPS} search={search} onChange={set} first={system.length} />
          </Card>
        )}
        {tab === "images" && (
          <Card title="Images by step">
            <ImageGrid
              folder={folder}
              names={images}
              chosen={search.key}
              onChoose={(key) => set({ key })}
              onOpen={(name) => set({ tab: "artifacts", file: join("images", name) })}
            />
          </Card>
        )}
        {tab === "artifacts" && (
          <ArtifactBrowser
            uri={run.artifact_uri}
            file={search.file}
            onFile={(file) => set({ file: file || undefined, tab: "artifacts" })}
          />
        )}
        {tab === "traces" && <TracesOf experiment={run.experiment_id} filter={`run_id = '${run.id}'`} />}
      </Tabs>
      <RunLife run={run} />
      <Source
        cli={`MLFLOW_TRACKING_URI=${window.location.origin} mlflow runs describe --run-id ${run.id}`}
        json={run}
      />
    </>
  );
}
