import { useMemo } from "react";
import type { TrackedRun } from "../../../api/types.gen";
import { Ramp } from "../../../charts/engine/Ramp";
import { ScatterChart } from "../../../charts/scatter/ScatterChart";
import { Answer } from "../../../ui/Answer";
import { NameField } from "../../../ui/NameField";
import type { RunsAsked } from "../queries";
import type { ExperimentSearch } from "../search";
import { columnOf } from "./columns";
import { plotOf } from "./plot";
import { usePlotted } from "./usePlotted";

interface ScatterProps {
  asked: Omit<RunsAsked, "columns">;
  names: string[];
  /** Fields until others are chosen. */
  first: string[];
  selected: TrackedRun[];
  search: ExperimentSearch;
  onChange: (change: ExperimentSearch) => void;
  onPick: (id: string) => void;
}

/** Two fields of many runs against each other, coloured by a third. */
export function Scatter({ asked, names, first, selected, search, onChange, onPick }: ScatterProps) {
  const across = search.across ?? first[0] ?? "";
  const up = search.up ?? first.at(-1) ?? "";
  const { shade, log, logx } = search;
  const fields = useMemo(() => [across, up, ...(shade ? [shade] : [])], [across, up, shade]);
  const { query, runs, note } = usePlotted(asked, fields, selected);
  const plot = useMemo(
    () => plotOf(runs, fields, new Set(selected.map((run) => run.id)), { [across]: logx ?? false, [up]: log ?? false }),
    [runs, fields, selected, across, up, log, logx],
  );
  const hue = plot.axes[2];
  return (
    <div className="stack">
      <div className="row" style={{ columnGap: 16 }}>
        <NameField label="across" names={names} value={across} onChange={(field) => onChange({ across: field })} />
        <NameField label="up" names={names} value={up} onChange={(field) => onChange({ up: field })} />
        <NameField
          label="colour"
          names={names}
          value={shade ?? ""}
          none="one for all"
          onChange={(field) => onChange({ shade: field || undefined })}
        />
        <label className="row small">
          <input
            type="checkbox"
            checked={logx ?? false}
            onChange={(event) => onChange({ logx: event.target.checked || undefined })}
          />{" "}
          log across
        </label>
        <label className="row small">
          <input
            type="checkbox"
            checked={log ?? false}
            onChange={(event) => onChange({ log: event.target.checked || undefined })}
          />{" "}
          log up
        </label>
      </div>
      <p className="muted small">{note}; a click on a dot selects its run</p>
      <Answer query={query} rows={8}>
        {() => (
          <ScatterChart
            title={`${name(up)} over ${name(across)}`}
            note={hue && <Ramp axis={hue} />}
            rows={plot.rows}
            axes={plot.axes}
            onPick={onPick}
          />
        )}
      </Answer>
    </div>
  );
}

function name(field: string): string {
  return columnOf(field)?.name ?? field;
}
