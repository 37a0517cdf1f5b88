import { useCallback, useMemo, useState } from "react";
import { plural } from "../../format/number";
import { Chart } from "../engine/Chart";
import { ChartFrame } from "../engine/ChartFrame";
import { useChartColors } from "../engine/colors";
import { seriesOptions, seriesPlot, type SeriesLook, type SeriesTable } from "./options";

interface SeriesChartProps {
  table: SeriesTable;
  look: SeriesLook;
  height?: number;
}

/** Columns of a table as lines, bars or dots. */
export function SeriesChart({ table, look, height = 380 }: SeriesChartProps) {
  const colors = useChartColors();
  const [picture, setPicture] = useState<(() => string) | null>(null);
  const ready = useCallback((draw: () => string) => setPicture(() => draw), []);
  const plot = useMemo(() => seriesPlot(table, look), [table, look]);
  const option = useMemo(() => seriesOptions(plot, look, colors), [plot, look, colors]);
  const title = `${look.y.join(", ")} over ${look.x}`;
  const points = plot.series.reduce((sum, one) => sum + one.points.length, 0);
  const data = { columns: table.columns.map((column) => column.name), rows: table.rows.map((row) => [...row]) };
  return (
    <ChartFrame
      title={title}
      note={`${plural(points, "point")}${plot.left > 0 ? `; ${plural(plot.left, "series", "series")} more are not drawn` : ""}`}
      data={data}
      picture={picture}
    >
      <Chart option={option} height={height} label={`${title}: ${plural(points, "point")}`} onReady={ready} />
    </ChartFrame>
  );
}
