import { useId } from "react";
import type { ExperimentSearch } from "../search";

interface CurveControlsProps {
  keys: string[];
  shown: string[];
  search: ExperimentSearch;
  onChange: (change: ExperimentSearch) => void;
}

/** Smoothing, scale, horizontal axis and choice of the curves; all in the address. */
export function CurveControls({ keys, shown, search, onChange }: CurveControlsProps) {
  const id = useId();
  const toggle = (key: string) => {
    const next = shown.includes(key) ? shown.filter((entry) => entry !== key) : [...shown, key];
    onChange({ metrics: next.join(",") || undefined });
  };
  return (
    <>
      <label className="row small" htmlFor={id}>
        Smoothing
        <input
          id={id}
          type="range"
          min={0}
          max={0.98}
          step={0.02}
          value={search.smoothing ?? 0}
          onChange={(event) => onChange({ smoothing: Number(event.target.value) || undefined })}
          style={{ accentColor: "var(--accent)", width: 110 }}
        />
      </label>
      <label className="row small">
        <input
          type="checkbox"
          checked={search.log ?? false}
          onChange={(event) => onChange({ log: event.target.checked || undefined })}
        />{" "}
        log axis
      </label>
      <label className="row small">
        over
        <select
          className="input"
          value={search.x ?? "step"}
          onChange={(event) => onChange({ x: event.target.value === "time" ? "time" : undefined })}
        >
          <option>step</option>
          <option>time</option>
        </select>
      </label>
      <details className="disclosure chooser">
        <summary>Metrics</summary>
        <fieldset className="popover">
          <legend className="visually-hidden">Metrics</legend>
          {keys.map((key) => (
            <label key={key} className="row small">
              <input type="checkbox" checked={shown.includes(key)} onChange={() => toggle(key)} /> {key}
            </label>
          ))}
        </fieldset>
      </details>
    </>
  );
}
