import type { EChartsCoreOption } from "echarts/core";
import { number } from "../../format/number";
import { type ChartColors, shade } from "../engine/colors";
import { type FieldAxis, placeOf, shareOf } from "../engine/field";
import { tip, tipLook } from "../engine/tip";
import { facts, type PlotRow } from "../parallel/options";

/** ECharts' description of a scatter plot of the first two fields, coloured by the third. */
export function scatterOptions(rows: readonly PlotRow[], axes: readonly FieldAxis[], colors: ChartColors) {
  const [across, up, hue] = axes;
  const axis = (field: FieldAxis | undefined, gap: number) => ({
    type: field?.type ?? "value",
    data: field?.words,
    name: field?.name,
    nameLocation: "middle",
    nameGap: gap,
    scale: true,
    nameTextStyle: { color: colors.text, fontSize: 12 },
    axisLine: { lineStyle: { color: colors.line } },
    splitLine: { lineStyle: { color: colors.line, opacity: 0.6 } },
    axisLabel: {
      color: colors.muted,
      fontSize: 11,
      hideOverlap: true,
      formatter: field?.words ? undefined : (value: number) => number(value),
    },
  });
  const color = (row: PlotRow) => {
    const share = hue ? shareOf(row.cells[2], hue) : null;
    return hue ? (share === null ? colors.muted : shade(colors.ramp, share)) : colors.series[0];
  };
  const option: EChartsCoreOption = {
    animation: false,
    textStyle: { fontFamily: "system-ui, sans-serif" },
    grid: { left: 68, right: 20, top: 14, bottom: 46 },
    tooltip: {
      ...tipLook(colors),
      formatter: ({ dataIndex }: { dataIndex: number }) => {
        const row = rows[dataIndex];
        return row ? tip(row.name, facts(row, axes)) : "";
      },
    },
    xAxis: axis(across, 28),
    yAxis: axis(up, 50),
    dataZoom: [{ type: "inside", zoomOnMouseWheel: "ctrl", moveOnMouseMove: "shift", filterMode: "none" }],
    series: [
      {
        type: "scatter",
        data: rows.map((row) => ({
          name: row.name,
          value: [at(row, 0, across), at(row, 1, up)],
          symbolSize: row.picked ? 13 : 8,
          itemStyle: {
            color: color(row),
            opacity: row.picked ? 1 : 0.75,
            borderColor: row.picked ? colors.bad : colors.surface,
            borderWidth: row.picked ? 2.5 : 0.5,
          },
        })),
      },
    ],
  };
  return option;
}

function at(row: PlotRow, index: number, axis: FieldAxis | undefined) {
  return (axis && placeOf(row.cells[index], axis)) ?? "-";
}
