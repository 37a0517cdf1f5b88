import type { EChartsCoreOption } from "echarts/core";
import { number } from "../../format/number";
import { type ChartColors, shade } from "../engine/colors";
import { type Cell, type FieldAxis, placeOf, shareOf } from "../engine/field";
import { tip, tipLook } from "../engine/tip";

export interface PlotRow {
  id: string;
  name: string;
  cells: Cell[];
  /** Stands out. */
  picked: boolean;
}

/** ECharts' description of parallel coordinates; lines have the colour of their place on the last axis. */
export function parallelOptions(rows: readonly PlotRow[], axes: readonly FieldAxis[], colors: ChartColors) {
  const last = axes.at(-1);
  const anyPicked = rows.some((row) => row.picked);
  const faint = rows.length > 100 ? 0.25 : 0.5;
  const color = (row: PlotRow) => {
    const share = last ? shareOf(row.cells[axes.length - 1], last) : null;
    return share === null ? colors.muted : shade(colors.ramp, share);
  };
  const option: EChartsCoreOption = {
    animation: false,
    textStyle: { fontFamily: "system-ui, sans-serif" },
    tooltip: {
      ...tipLook(colors),
      formatter: ({ dataIndex }: { dataIndex: number }) => {
        const row = rows[dataIndex];
        return row ? tip(row.name, facts(row, axes)) : "";
      },
    },
    parallel: {
      left: 48,
      right: 72,
      top: 40,
      bottom: 18,
      parallelAxisDefault: {
        nameTextStyle: { color: colors.text, fontSize: 12 },
        nameTruncate: { maxWidth: 120 },
        axisLine: { lineStyle: { color: colors.muted } },
        axisTick: { lineStyle: { color: colors.muted } },
        axisLabel: { color: colors.text, fontSize: 11 },
        areaSelectStyle: { borderColor: colors.text, color: colors.muted, opacity: 0.25 },
      },
    },
    parallelAxis: axes.map((axis, dim) => ({
      dim,
      name: axis.name,
      type: axis.type,
      data: axis.words,
      scale: true,
      axisLabel: axis.words ? { overflow: "truncate", width: 90 } : { formatter: (value: number) => number(value) },
    })),
    series: [
      {
        type: "parallel",
        smooth: 0.15,
        inactiveOpacity: 0.03,
        activeOpacity: 0.9,
        lineStyle: { width: 1.2, opacity: faint },
        data: rows.map((row) => ({
          name: row.name,
          value: axes.map((axis, index) => placeOf(row.cells[index], axis) ?? "-"),
          lineStyle: {
            color: color(row),
            width: row.picked ? 3 : 1.2,
            opacity: row.picked ? 1 : anyPicked ? faint / 2 : faint,
          },
        })),
      },
    ],
  };
  return option;
}

/** Names and values of a row, for its tooltip. */
export function facts(row: PlotRow, axes: readonly FieldAxis[]): [string, Cell][] {
  return axes.map((axis, index) => [axis.name, row.cells[index]]);
}
