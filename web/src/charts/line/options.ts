import type { EChartsCoreOption } from "echarts/core";
import { duration } from "../../format/duration";
import { number } from "../../format/number";
import { dateTime } from "../../format/time";
import type { ChartColors } from "../engine/colors";
import { type Band, bandSeries } from "./bands";
import { type Point, smooth } from "./smooth";

export interface Line {
  name: string;
  points: Point[];
  dashed?: boolean;
}

export interface LineLook {
  xName?: string;
  yName?: string;
  /** `duration` is in milliseconds. */
  x?: "value" | "time" | "duration";
  logX?: boolean;
  logY?: boolean;
  bands?: Band[];
  smoothing?: number;
  /** A constant to be seen: a threshold. */
  threshold?: { value: number; name: string };
  min?: number;
  max?: number;
  area?: boolean;
}

const TIME = {
  year: "{yyyy}",
  month: "{MMM} {yyyy}",
  day: "{MMM} {d}",
  hour: "{HH}:{mm}",
  minute: "{HH}:{mm}",
  second: "{HH}:{mm}:{ss}",
};

/** A log axis would else go on to the next power of ten, and leave the curves a corner. */
const TIGHT = { min: "dataMin", max: "dataMax" };

/** Lines beyond which each must be thin and quiet. */
const MANY = 12;

/** ECharts' description of a line chart. */
export function lineOptions(lines: Line[], look: LineLook, colors: ChartColors): EChartsCoreOption {
  const axis = {
    axisLabel: { color: colors.muted, fontSize: 11, hideOverlap: true },
    axisLine: { lineStyle: { color: colors.line } },
    splitLine: { lineStyle: { color: colors.line, opacity: 0.6 } },
    nameTextStyle: { color: colors.muted, fontSize: 11 },
    nameLocation: "middle",
  };
  const drawn = (line: Line, index: number) => ({
    type: "line",
    name: line.name,
    data: points(line, look),
    z: 2,
    showSymbol: line.points.length < 3,
    triggerLineEvent: lines.length > MANY,
    lineStyle: { width: line.dashed || lines.length > MANY ? 1 : 1.8, type: line.dashed ? "dashed" : "solid" },
    areaStyle: look.area ? { opacity: 0.12 } : undefined,
    markLine: index === 0 && look.threshold ? threshold(look.threshold, colors) : undefined,
  });
  const bands = (look.bands ?? []).map((band) => {
    const at = lines.findIndex((line) => line.name === band.name);
    return bandSeries(band, colors.series[at % colors.series.length], colors, { x: look.logX, y: look.logY });
  });
  return {
    animation: false,
    color: colors.series,
    textStyle: { fontFamily: "system-ui, sans-serif" },
    grid: { left: 52, right: 16, top: lines.length > 1 ? 34 : 14, bottom: look.xName ? 40 : 26 },
    legend:
      lines.length > 1
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
      // A list of many lines hides the chart; then only the line under the pointer speaks.
      trigger: lines.length > MANY ? "item" : "axis",
      order: "valueDesc",
      confine: true,
      backgroundColor: colors.surface,
      borderColor: colors.line,
      textStyle: { color: colors.text, fontSize: 12 },
      valueFormatter: (value: unknown) => (typeof value === "number" ? number(value) : String(value ?? "–")),
    },
    xAxis: {
      type: look.x === "time" ? "time" : look.logX ? "log" : "value",
      name: look.xName,
      nameGap: 24,
      scale: true,
      ...(look.logX && TIGHT),
      ...axis,
      axisLabel: { ...axis.axisLabel, formatter: xLabel(look) },
      axisPointer: { label: { formatter: ({ value }: { value: number }) => xText(look, value) } },
      splitLine: { show: false },
    },
    yAxis: {
      type: look.logY ? "log" : "value",
      name: look.yName,
      nameGap: 38,
      scale: true,
      min: look.min,
      max: look.max,
      ...(look.logY && TIGHT),
      ...axis,
      axisLabel: { ...axis.axisLabel, formatter: (value: number) => number(value) },
    },
    dataZoom: [{ type: "inside", zoomOnMouseWheel: "ctrl", moveOnMouseMove: "shift", filterMode: "none" }],
    series: [...lines.map(drawn), ...bands],
  };
}

function xLabel(look: LineLook) {
  if (look.x === "time") return TIME;
  return look.x === "duration" ? (value: number) => duration(value) : undefined;
}

function xText(look: LineLook, value: number): string {
  if (look.x === "time") return dateTime(value);
  return look.x === "duration" ? duration(value) : number(value);
}

function points(line: Line, look: LineLook): Point[] {
  const kept = line.points.filter(([x, y]) => !(look.logX && x <= 0) && !(look.logY && y <= 0));
  return line.dashed ? kept : smooth(kept, look.smoothing ?? 0);
}

function threshold(at: { value: number; name: string }, colors: ChartColors) {
  return {
    silent: true,
    symbol: "none",
    label: { formatter: at.name, color: colors.bad, position: "insideStartTop", fontSize: 11 },
    lineStyle: { color: colors.bad, type: "dashed" },
    data: [{ yAxis: at.value }],
  };
}
