import { useMemo, useState } from "react";
import type { TrackedRun } from "../../../api/types.gen";
import { Ramp } from "../../../charts/engine/Ramp";
import { ParallelChart } from "../../../charts/parallel/ParallelChart";
import { Answer } from "../../../ui/Answer";
import { NamePicker } from "../../../ui/NamePicker";
import type { RunsAsked } from "../queries";
import { list, words } from "../search";
import { plotOf, telling } from "./plot";
import { usePlotted } from "./usePlotted";

interface ParallelProps {
  asked: Omit<RunsAsked, "columns">;
  names: string[];
  /** Fields until some are chosen. */
  first: string[];
  selected: TrackedRun[];
  chosen: string | undefined;
  onChoose: (axes: string | undefined) => void;
  onPick: (id: string) => void;
}

const MOST = 16;

/** Parameters and metrics of many runs side by side. */
export function Parallel({ asked, names, first, selected, chosen, onChoose, onPick }: ParallelProps) {
  const [open, setOpen] = useState(false);
  const fields = useMemo(() => (chosen ? words(chosen) : first), [chosen, first]);
  const { query, runs, note } = usePlotted(asked, fields, selected);
  const plot = useMemo(() => {
    const made = plotOf(runs, fields, new Set(selected.map((run) => run.id)));
    return chosen ? made : telling(made);
  }, [runs, fields, selected, chosen]);
  const last = plot.axes.at(-1);
  return (
    <div className="stack">
      <div className="row">
        <button type="button" className="button" aria-expanded={open} onClick={() => setOpen(!open)}>
          Axes
        </button>
        <span className="muted small">{note}; drag along an axis to keep the runs that pass there</span>
      </div>
      {open && (
        <NamePicker
          label="axes"
          names={names}
          chosen={fields}
          most={MOST}
          height={220}
          onChange={(next) => onChoose(list(next))}
        />
      )}
      <Answer query={query} rows={8}>
        {() =>
          plot.axes.length < 2 ? (
            <p className="muted">Choose two axes or more.</p>
          ) : (
            <ParallelChart
              title="Parallel coordinates"
              note={last && <Ramp axis={last} />}
              rows={plot.rows}
              axes={plot.axes}
              onPick={onPick}
            />
          )
        }
      </Answer>
    </div>
  );
}
