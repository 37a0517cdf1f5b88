import { useMemo } from "react";
import type { MonitorView } from "../../api/types.gen";
import { LineChart } from "../../charts/line/LineChart";
import type { Line } from "../../charts/line/options";
import type { Point } from "../../charts/line/smooth";
import { instant } from "../../format/time";
import { Card } from "../../ui/Card";

const MOST = 8;

/** Scores over the monitor's runs, with the threshold. */
export function MonitorHistory({ view }: { view: MonitorView }) {
  const lines = useMemo((): Line[] => {
    const last = view.history.at(-1)?.scores ?? {};
    const columns = Object.entries(last)
      .toSorted((a, b) => b[1] - a[1])
      .slice(0, MOST)
      .map(([name]) => name);
    return columns.map((name) => ({
      name,
      points: view.history.flatMap((entry): Point[] => {
        const score = entry.scores[name];
        return score === undefined ? [] : [[instant(entry.at) ?? 0, score]];
      }),
    }));
  }, [view.history]);
  const threshold = view.latest?.columns[0]?.threshold;
  const look = useMemo(
    () => ({
      x: "time" as const,
      min: 0,
      threshold: threshold === undefined ? undefined : { value: threshold, name: "threshold" },
    }),
    [threshold],
  );
  if (lines.length === 0) return null;
  return (
    <Card title="History">
      <LineChart title="Drift scores" note={`the ${lines.length} highest`} lines={lines} look={look} height={260} />
    </Card>
  );
}
