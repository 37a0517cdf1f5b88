import type { EChartsCoreOption } from "echarts/core";
import { number } from "../../format/number";
import { dateTime } from "../../format/time";
import type { ChartColors } from "../engine/colors";
import { tipLook } from "../engine/tip";

export interface SeriesTable {
  columns: readonly { name: string; type: string }[];
  rows: readonly (readonly unknown[])[];
}

export interface SeriesLook {
  kind: "line" | "bar" | "scatter";
  /** The column across. */
  x: string;
  /** The columns up; a series each. */
  y: readonly string[];
  /** The column whose values make series of their own. */
  by?: string;
}

/** Series beyond these are not drawn. */
const MOST_SERIES = 40;

export interface Series {
  name: string;
  points: [x: string | number, y: number][];
}

export interface SeriesPlot {
  axis: "time" | "value" | "category";
  /** The words across, in the order of the rows. */
  words: string[];
  series: Series[];
  /** How many series there are beyond those drawn. */
  left: number;
}

/** What is drawn of a table: rows without a number up or a place across are left out. */
export function seriesPlot({ columns, rows }: SeriesTable, { kind, x, y, by }: SeriesLook): SeriesPlot {
  const at = (name: string) => columns.findIndex((column) => column.name === name);
  const across = at(x);
  const axis = axisKind(columns[across]?.type ?? "", kind);
  const words = new Set<string>();
  const series = new Map<string, Series>();
  for (const row of rows) {
    const place = placeOf(row[across], axis);
    if (place === null) continue;
    for (const name of y) {
      const value = Number(row[at(name)] ?? Number.NaN);
      if (!Number.isFinite(value)) continue;
      const group = by === undefined ? null : String(row[at(by)] ?? "null");
      const key = group === null ? name : y.length > 1 ? `${group}, ${name}` : group;
      const found = series.get(key) ?? { name: key, points: [] };
      series.set(key, found);
      found.points.push([place, value]);
      if (axis === "category") words.add(String(place));
    }
  }
  const all = [...series.values()];
  if (axis !== "category" && kind === "line")
    for (const one of all) one.points.sort(([a], [b]) => Number(a) - Number(b));
  return { axis, words: [...words], series: all.slice(0, MOST_SERIES), left: Math.max(0, all.length - MOST_SERIES) };
}

function axisKind(type: string, kind: SeriesLook["kind"]): SeriesPlot["axis"] {
  if (/^(?:date|timestamp)/i.test(type) && kind !== "bar") return "time";
  return /^(?:u?int|float|decimal)/i.test(type) && kind !== "bar" ? "value" : "category";
}

function placeOf(cell: unknown, axis: SeriesPlot["axis"]): string | number | null {
  if (cell === null || cell === undefined) return axis === "category" ? "null" : null;
  if (axis === "category") return typeof cell === "object" ? JSON.stringify(cell) : String(cell);
  // Arrow writes a time without its zone in UTC.
  const text = String(cell);
  const value = axis === "time" ? Date.parse(/T.*(?:Z|[+-]\d\d:?\d\d)$/.test(text) ? text : utc(text)) : Number(text);
  return Number.isFinite(value) ? value : null;
}

const utc = (text: string) => `${text.replace(" ", "T")}${text.length > 10 ? "Z" : ""}`;

/** ECharts' description of lines, bars or dots of a table. */
export function seriesOptions(plot: SeriesPlot, look: SeriesLook, colors: ChartColors): EChartsCoreOption {
  const axis = {
    axisLabel: { color: colors.muted, fontSize: 11, hideOverlap: true },
    axisLine: { lineStyle: { color: colors.line } },
    splitLine: { lineStyle: { color: colors.line, opacity: 0.6 } },
    nameTextStyle: { color: colors.text, fontSize: 12 },
    nameLocation: "middle",
  };
  const many = plot.series.length > 1;
  return {
    animation: false,
    color: colors.series,
    textStyle: { fontFamily: "system-ui, sans-serif" },
    grid: { left: 68, right: 20, top: many ? 36 : 14, bottom: 46 },
    legend: many
      ? {
          type: "scroll",
          top: 2,
          left: 8,
          right: 8,
          pageIconSize: 9,
          pageIconColor: colors.text,
          pageIconInactiveColor: colors.line,
          pageTextStyle: { color: colors.muted, fontSize: 11 },
          itemHeight: 8,
          itemWidth: 14,
          textStyle: { color: colors.text, fontSize: 11 },
        }
      : undefined,
    tooltip: {
      ...tipLook(colors),
      trigger: look.kind === "scatter" ? "item" : "axis",
      valueFormatter: (value: unknown) => (typeof value === "number" ? number(value) : String(value ?? "–")),
    },
    xAxis: {
      type: plot.axis,
      data: plot.axis === "category" ? plot.words : undefined,
      name: look.x,
      nameGap: 28,
      scale: true,
      ...axis,
      axisPointer: {
        label: {
          formatter: ({ value }: { value: string | number }) =>
            plot.axis === "time" ? dateTime(Number(value)) : String(value),
        },
      },
      splitLine: { show: false },
    },
    yAxis: {
      type: "value",
      name: look.y.join(", "),
      nameGap: 50,
      // Bars are read by their length.
      scale: look.kind !== "bar",
      ...axis,
      axisLabel: { ...axis.axisLabel, formatter: (value: number) => number(value) },
    },
    dataZoom: [{ type: "inside", zoomOnMouseWheel: "ctrl", moveOnMouseMove: "shift", filterMode: "none" }],
    series: plot.series.map((one) => ({
      type: look.kind,
      name: one.name,
      data: one.points,
      showSymbol: look.kind === "line" ? one.points.length < 40 : undefined,
      symbolSize: look.kind === "scatter" ? 7 : 5,
      barMaxWidth: 48,
      itemStyle: look.kind === "scatter" ? { opacity: 0.75 } : undefined,
    })),
  };
}
