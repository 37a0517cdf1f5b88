import { type ReactNode, useCallback, useMemo, useState } from "react";
import { Chart } from "../engine/Chart";
import { ChartFrame } from "../engine/ChartFrame";
import { useChartColors } from "../engine/colors";
import type { FieldAxis } from "../engine/field";
import { type PlotRow, parallelOptions } from "./options";

interface ParallelChartProps {
  title: string;
  note?: ReactNode;
  rows: PlotRow[];
  axes: FieldAxis[];
  height?: number;
  onPick?: (id: string) => void;
}

/** Width that an axis needs; more axes than fit scroll sideways. */
const AXIS = 84;

/** One line a run through its values; dragging along an axis keeps the runs that pass there. */
export function ParallelChart({ title, note, rows, axes, height = 380, onPick }: ParallelChartProps) {
  const colors = useChartColors();
  const [picture, setPicture] = useState<(() => string) | null>(null);
  const ready = useCallback((draw: () => string) => setPicture(() => draw), []);
  const option = useMemo(() => parallelOptions(rows, axes, colors), [rows, axes, colors]);
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
      <div className="table-scroll" tabIndex={0} role="region" aria-label={title}>
        <div style={{ minWidth: axes.length * AXIS + 60 }}>
          <Chart
            // ECharts keeps an axis's selection when its number stays; other axes begin anew.
            key={axes.map((axis) => axis.name).join()}
            option={option}
            height={height}
            label={`${title}: ${rows.length} runs over ${axes.map((axis) => axis.name).join(", ")}`}
            onReady={ready}
            onPick={pick}
          />
        </div>
      </div>
    </ChartFrame>
  );
}
