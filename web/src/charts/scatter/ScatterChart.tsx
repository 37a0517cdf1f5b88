import { type ReactNode, useCallback, useMemo, useState } from "react";
import { Chart } from "../engine/Chart";
import { ChartFrame } from "../engine/ChartFrame";
import { useChartColors } from "../engine/colors";
import type { FieldAxis } from "../engine/field";
import type { PlotRow } from "../parallel/options";
import { scatterOptions } from "./options";

interface ScatterChartProps {
  title: string;
  note?: ReactNode;
  rows: PlotRow[];
  /** Across, up, and the one that colours, if any. */
  axes: FieldAxis[];
  height?: number;
  onPick?: (id: string) => void;
}

/** One dot a run. */
export function ScatterChart({ title, note, rows, axes, height = 380, onPick }: ScatterChartProps) {
  const colors = useChartColors();
  const [picture, setPicture] = useState<(() => string) | null>(null);
  const ready = useCallback((draw: () => string) => setPicture(() => draw), []);
  const option = useMemo(() => scatterOptions(rows, axes, colors), [rows, axes, colors]);
  const pick = useCallback(
    (index: number) => {
      const row = rows[index];
      if (row) onPick?.(row.id);
    },
    [rows, onPick],
  );
  const data = {
    columns: ["id", "name", ...axes.map((axis) => axis.name)],
    rows: rows.map((row) => [row.id, row.name, ...row.cells]),
  };
  return (
    <ChartFrame title={title} note={note} data={data} picture={picture}>
      <Chart option={option} height={height} label={`${title}: ${rows.length} runs`} onReady={ready} onPick={pick} />
    </ChartFrame>
  );
}
