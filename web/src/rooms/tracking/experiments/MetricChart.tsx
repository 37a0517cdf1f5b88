import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import type { TrackedRun } from "../../../api/types.gen";
import { Bars } from "../../../charts/bars/Bars";
import { LineChart } from "../../../charts/line/LineChart";
import { Answer } from "../../../ui/Answer";
import { useSeen } from "../../../ui/useSeen";
import { curvesQuery } from "../queries";
import type { CurveSearch } from "../search";
import { curveLines, singleValues } from "./curveLines";

interface MetricChartProps {
  name: string;
  runs: TrackedRun[];
  search: CurveSearch;
}

const HEIGHT = 248;
/** Points that the curves of one chart share. */
const POINTS = 20_000;
const AXES = {
  step: { x: "value", xName: "step" },
  relative: { x: "duration", xName: "time since the first point" },
  wall: { x: "time", xName: "time" },
} as const;

/** One metric of some runs; asked for when it comes into sight. */
export function MetricChart({ name, runs, search }: MetricChartProps) {
  const [host, seen] = useSeen<HTMLDivElement>();
  const ids = useMemo(() => runs.map((run) => run.id), [runs]);
  const points = Math.min(2000, Math.max(200, Math.floor(POINTS / Math.max(ids.length, 1))));
  const query = curvesQuery(ids, name, points);
  const curves = useQuery({ ...query, enabled: seen && ids.length > 0 });
  const { x, group, smoothing, log, logx } = search;
  const drawn = useMemo(
    () => curveLines(curves.data ?? [], runs, { x, group, smoothing }),
    [curves.data, runs, x, group, smoothing],
  );
  const single = useMemo(() => singleValues(curves.data ?? [], runs, group), [curves.data, runs, group]);
  const look = useMemo(
    // Groups are made of smoothed curves.
    () => ({ ...AXES[x ?? "step"], logX: logx, logY: log, smoothing: group ? 0 : smoothing, bands: drawn.bands }),
    [x, logx, log, smoothing, group, drawn.bands],
  );
  return (
    <div ref={host} style={{ minHeight: single ? undefined : HEIGHT, minWidth: 0 }}>
      <Answer query={curves} rows={6}>
        {() =>
          single ? (
            <Bars
              title={name}
              note={group ? "logged once a run, the mean of each group" : "logged once"}
              bars={single}
            />
          ) : drawn.lines.length > 0 ? (
            <LineChart title={name} lines={drawn.lines} look={look} />
          ) : (
            <p className="muted small">None of these runs has logged {name}.</p>
          )
        }
      </Answer>
    </div>
  );
}
