import { useId } from "react";
import { NameField } from "../../../ui/NameField";
import { type CurveAxis, CURVE_AXES, type CurveSearch } from "../search";
import { columnOf } from "./columns";

interface CurveControlsProps {
  groups: readonly string[];
  search: CurveSearch;
  onChange: (change: CurveSearch) => void;
  /** Whether metrics are being chosen. */
  open: boolean;
  onOpen: (open: boolean) => void;
}

const AXIS_NAMES: Record<CurveAxis, string> = { step: "step", relative: "relative time", wall: "wall time" };

/** Smoothing, scales, horizontal axis and grouping of the curves; all in the address. */
export function CurveControls({ groups, search, onChange, open, onOpen }: CurveControlsProps) {
  const id = useId();
  const axis = (value: string) => onChange({ x: CURVE_AXES.find((name) => name === value && name !== "step") });
  return (
    <div className="row" style={{ columnGap: 16 }}>
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
        <output className="num" style={{ width: 28 }}>
          {(search.smoothing ?? 0).toFixed(2)}
        </output>
      </label>
      <label className="row small">
        over
        <select className="input" value={search.x ?? "step"} onChange={(event) => axis(event.target.value)}>
          {CURVE_AXES.map((name) => (
            <option key={name} value={name}>
              {AXIS_NAMES[name]}
            </option>
          ))}
        </select>
      </label>
      <Tick label="log values" on={search.log} onTick={(log) => onChange({ log })} />
      {search.x !== "wall" && (
        <Tick
          label={search.x === "relative" ? "log time" : "log steps"}
          on={search.logx}
          onTick={(logx) => onChange({ logx })}
        />
      )}
      {groups.length > 0 && (
        <NameField
          label="grouped by"
          names={groups}
          value={columnOf(search.group ?? "")?.name ?? ""}
          none="nothing"
          onChange={(name) => onChange({ group: name ? `params.${name}` : undefined })}
        />
      )}
      <button type="button" className="button" aria-expanded={open} onClick={() => onOpen(!open)}>
        Metrics
      </button>
    </div>
  );
}

function Tick({ label, on, onTick }: { label: string; on?: boolean; onTick: (on: true | undefined) => void }) {
  return (
    <label className="row small">
      <input type="checkbox" checked={on ?? false} onChange={(event) => onTick(event.target.checked || undefined)} />{" "}
      {label}
    </label>
  );
}
