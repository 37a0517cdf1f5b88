import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import type { MetricCurve, TrackedRun } from "../../../api/types.gen";
import { LineChart } from "../../../charts/line/LineChart";
import type { Line } from "../../../charts/line/options";
import { short } from "../../../format/id";
import { instant } from "../../../format/time";
import { Answer } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { curvesQuery } from "../queries";
import { type ExperimentSearch, words } from "../search";
import { CurveControls } from "./CurveControls";

interface CurvesProps {
  runs: TrackedRun[];
  keys: string[];
  search: ExperimentSearch;
  onChange: (change: ExperimentSearch) => void;
}

/** One chart a metric, one line a run. */
export function Curves({ runs, keys, search, onChange }: CurvesProps) {
  const chosen = words(search.metrics);
  const shown = chosen.length > 0 ? keys.filter((key) => chosen.includes(key)) : keys.slice(0, 6);
  const curves = useQuery(
    curvesQuery(
      runs.map((run) => run.id),
      shown,
    ),
  );
  if (keys.length === 0) return null;
  return (
    <Card title="Metrics" actions={<CurveControls keys={keys} shown={shown} search={search} onChange={onChange} />}>
      <Answer query={curves}>
        {(found) => (
          <div className="halves">
            {shown.map((key) => (
              <Curve key={key} name={key} curves={found} runs={runs} search={search} />
            ))}
          </div>
        )}
      </Answer>
    </Card>
  );
}

/** Names by run; runs of one name, such as the same step of several pipeline runs, are told apart by their ids. */
function distinct(runs: TrackedRun[]): Map<string, string> {
  const uses = new Map<string, number>();
  for (const { name } of runs) uses.set(name, (uses.get(name) ?? 0) + 1);
  return new Map(runs.map(({ id, name }) => [id, uses.get(name) === 1 ? name : `${name} ${short(id)}`]));
}

interface CurveProps {
  name: string;
  curves: MetricCurve[];
  runs: TrackedRun[];
  search: ExperimentSearch;
}

function Curve({ name, curves, runs, search }: CurveProps) {
  const byTime = search.x === "time";
  const lines = useMemo((): Line[] => {
    const names = distinct(runs);
    return curves
      .filter((curve) => curve.key === name && curve.points.length > 0)
      .map((curve) => ({
        name: names.get(curve.run_id) ?? short(curve.run_id),
        points: curve.points.map((point) => [byTime ? (instant(point.at) ?? 0) : point.step, point.value]),
      }));
  }, [curves, runs, name, byTime]);
  const look = useMemo(
    () => ({
      x: byTime ? ("time" as const) : ("value" as const),
      xName: byTime ? "time" : "step",
      logY: search.log,
      smoothing: search.smoothing,
    }),
    [byTime, search.log, search.smoothing],
  );
  if (lines.length === 0) return null;
  return <LineChart title={name} lines={lines} look={look} />;
}
