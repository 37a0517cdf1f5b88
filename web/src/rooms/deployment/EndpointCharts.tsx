import { useMemo } from "react";
import type { TrafficPoint } from "../../api/types.gen";
import { LineChart } from "../../charts/line/LineChart";
import type { Line } from "../../charts/line/options";
import type { Point } from "../../charts/line/smooth";
import { instant } from "../../format/time";
import { Card } from "../../ui/Card";

const REQUESTS = { x: "time" as const, area: true };
const LATENCY = { x: "time" as const, yName: "ms" };

/** Requests, errors and latency over time. */
export function EndpointCharts({ history }: { history: TrafficPoint[] }) {
  const { requests, latency } = useMemo(() => series(history), [history]);
  return (
    <Card title="Traffic">
      {history.length === 0 ? (
        <p className="muted">No request yet. Try it above.</p>
      ) : (
        <div className="halves">
          <LineChart title="Requests" lines={requests} look={REQUESTS} />
          <LineChart title="Latency" lines={latency} look={LATENCY} />
        </div>
      )}
    </Card>
  );
}

function series(history: TrafficPoint[]): { requests: Line[]; latency: Line[] } {
  const over = (read: (point: TrafficPoint) => number | null): Point[] =>
    history.flatMap((point) => {
      const value = read(point);
      return value === null ? [] : [[instant(point.at) ?? 0, value] as Point];
    });
  return {
    requests: [
      { name: "requests", points: over((point) => point.requests) },
      { name: "errors", points: over((point) => point.errors) },
    ],
    latency: [
      { name: "p50", points: over((point) => point.p50_ms) },
      { name: "p99", points: over((point) => point.p99_ms) },
    ],
  };
}
