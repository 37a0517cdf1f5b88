import { memo, useState } from "react";
import type { TrackedRun } from "../../../api/types.gen";
import { NamePicker } from "../../../ui/NamePicker";
import { type CurveSearch, list, words } from "../search";
import { CurveControls } from "./CurveControls";
import { MetricChart } from "./MetricChart";

interface CurvesProps {
  runs: TrackedRun[];
  /** Names of metrics. */
  keys: readonly string[];
  /** Names of parameters by which runs can be grouped. */
  groups: readonly string[];
  search: CurveSearch;
  onChange: (change: CurveSearch) => void;
  /** How many are drawn until some are chosen. */
  first?: number;
}

const FIRST = 6;
const MOST = 24;

/** One chart a metric, one line a run or a group of runs. */
export const Curves = memo(function Curves({ runs, keys, groups, search, onChange, first = FIRST }: CurvesProps) {
  const [open, setOpen] = useState(false);
  const chosen = words(search.metrics);
  const own = keys.filter((key) => !key.startsWith("system/"));
  const known = chosen.filter((key) => keys.includes(key));
  const shown = known.length > 0 ? known : (own.length > 0 ? own : keys).slice(0, Math.min(first, MOST));
  if (keys.length === 0) return <p className="muted">No metric logged.</p>;
  return (
    <div className="stack">
      <CurveControls groups={groups} search={search} onChange={onChange} open={open} onOpen={setOpen} />
      {open && (
        <NamePicker
          label="metrics"
          names={keys}
          chosen={shown}
          most={MOST}
          height={220}
          onChange={(names) => onChange({ metrics: list(names) })}
        />
      )}
      <div className="halves">
        {shown.map((key) => (
          <MetricChart key={key} name={key} runs={runs} search={search} />
        ))}
      </div>
    </div>
  );
});
