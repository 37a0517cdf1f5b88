import { expect, it } from "vitest";
import type { ChartColors } from "../engine/colors";
import { axisOf } from "../engine/field";
import { parallelOptions } from "./options";

const COLORS: ChartColors = {
  text: "#111111",
  muted: "#222222",
  line: "#333333",
  surface: "#ffffff",
  bad: "#ff0000",
  series: ["#000000"],
  ramp: ["#000000", "#ffffff"],
};
const ROWS = [
  { id: "a", name: "a", cells: ["3", "adam", 0], picked: false },
  { id: "b", name: "b", cells: ["5", undefined, 1], picked: true },
];
const AXES = [axisOf("depth", ["3", "5"]), axisOf("optimizer", ["adam"]), axisOf("auc", [0, 1])];

interface Drawn {
  parallelAxis: { type: string; data?: string[] }[];
  series: { data: { value: unknown[]; lineStyle: { color: string; width: number } }[] }[];
}

it("draws a line a run, over numbers and words, with a gap where a value is missing", () => {
  const { parallelAxis, series } = parallelOptions(ROWS, AXES, COLORS) as unknown as Drawn;
  expect(parallelAxis.map((axis) => axis.type)).toEqual(["value", "category", "value"]);
  expect(series[0]?.data.map((line) => line.value)).toEqual([
    [3, "adam", 0],
    [5, "-", 1],
  ]);
});

it("colours by the last axis and makes picked runs bold", () => {
  const { series } = parallelOptions(ROWS, AXES, COLORS) as unknown as Drawn;
  const [first, second] = series[0]?.data ?? [];
  expect([first?.lineStyle.color, second?.lineStyle.color]).toEqual(["rgb(0,0,0)", "rgb(255,255,255)"]);
  expect(second?.lineStyle.width).toBeGreaterThan(first?.lineStyle.width ?? 9);
});
