import "../../../ui/files.css";
import { useQueries } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { TrackedRun } from "../../../api/types.gen";
import { join, shownAddress, storePath } from "../artifacts/addresses";
import { folderQuery } from "../artifacts/queries";
import { type ImageStep, imagesByKey } from "../artifacts/series";
import { StepSlider } from "../artifacts/StepSlider";
import type { ExperimentSearch } from "../search";
import { distinctNames } from "./curveLines";

interface CompareImagesProps {
  runs: readonly TrackedRun[];
  search: ExperimentSearch;
  onChange: (change: ExperimentSearch) => void;
}

/** Runs whose images are looked at; each is a question to the server. */
const MOST = 24;

/** The image of a step, or the last before it. */
export function imageAt(images: readonly ImageStep[], step: number): ImageStep | undefined {
  return images.findLast((image) => image.step <= step);
}

/** What runs logged by `mlflow.log_image` under one key, beside each other at one step. */
export function CompareImages({ runs, search, onChange }: CompareImagesProps) {
  const shown = runs.slice(0, MOST);
  const folders = shown.map((run) => {
    const root = storePath(run.artifact_uri);
    return root === null ? null : join(root, "images");
  });
  const queries = useQueries({
    queries: folders.map((folder) => ({ ...folderQuery(folder ?? ""), enabled: folder !== null })),
  });
  const names = distinctNames(shown);
  const byRun = queries.map((query) => imagesByKey(query.data?.map((file) => file.path) ?? []));
  const keys = [...new Set(byRun.flatMap((images) => [...images.keys()]))];
  const key = keys.includes(search.image ?? "") ? (search.image ?? "") : keys[0];
  if (queries.some((query) => query.isLoading)) return <p className="muted">Looking for images…</p>;
  if (key === undefined) return <p className="muted">None of these runs has logged an image by step.</p>;
  const steps = [...new Set(byRun.flatMap((images) => (images.get(key) ?? []).map((image) => image.step)))];
  steps.sort((a, b) => a - b);
  const step = search.step !== undefined && steps.includes(search.step) ? search.step : (steps.at(-1) ?? 0);
  return (
    <div className="stack">
      <div className="row small">
        <label className="row">
          image
          <select className="input" value={key} onChange={(event) => onChange({ image: event.target.value })}>
            {keys.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
        <StepSlider steps={steps} step={step} onStep={(next) => onChange({ step: next })} />
      </div>
      <div className="image-runs">
        {shown.map((run, index) => {
          const image = imageAt(byRun[index]?.get(key) ?? [], step);
          return (
            <figure key={run.id} className="image-cell" style={{ margin: 0, cursor: "default" }}>
              {image ? (
                <img
                  src={shownAddress(join(folders[index] ?? "", image.small))}
                  alt={`${key} of ${names.get(run.id)} at step ${image.step}`}
                  loading="lazy"
                />
              ) : (
                <span className="muted small">none yet</span>
              )}
              <figcaption className="small clip" style={{ maxWidth: "100%" }}>
                <Link to="/tracked/$run" params={{ run: run.id }} search={{ tab: "images", key }}>
                  {names.get(run.id)}
                </Link>
                {image && <span className="muted"> step {image.step}</span>}
              </figcaption>
            </figure>
          );
        })}
      </div>
      {runs.length > MOST && <p className="muted small">The first {MOST} of the chosen runs.</p>}
    </div>
  );
}
