import { expect, it } from "vitest";
import type { MetricCurve, TrackedRun } from "../../../api/types.gen";
import { curveLines, distinctNames } from "./curveLines";

const run = (id: string, name: string, depth?: string) =>
  ({ id, name, params: depth ? { depth } : {}, metrics: {}, tags: {} }) as unknown as TrackedRun;
const curve = (run_id: string, values: number[], start = 0): MetricCurve => ({
  run_id,
  key: "loss",
  points: values.map((value, step) => ({ step, at: new Date(start + step * 1000).toISOString(), value })),
});

it("tells runs of one name apart", () => {
  const names = distinctNames([run("a1", "fit"), run("b2", "fit"), run("c3", "other")]);
  expect([...names.values()]).toEqual(["fit a1", "fit b2", "other"]);
});

it("begins relative time at each run's first point", () => {
  const curves = [curve("a", [1, 2], 5000), curve("b", [3, 4], 90_000)];
  const { lines } = curveLines(curves, [run("a", "a"), run("b", "b")], { x: "relative" });
  expect(lines.map((line) => line.points.map(([x]) => x))).toEqual([
    [0, 1000],
    [0, 1000],
  ]);
  expect(curveLines(curves, [], { x: "wall" }).lines[0]?.points[0]?.[0]).toBe(5000);
});

it("draws a group as its mean and its band", () => {
  const runs = [run("a", "a", "10"), run("b", "b", "10"), run("c", "c", "9"), run("d", "d")];
  const curves = [curve("a", [1, 1]), curve("b", [3, 5]), curve("c", [2, 2]), curve("d", [7, 7])];
  const { lines, bands } = curveLines(curves, runs, { group: "params.depth" });
  expect(lines.map((line) => line.name)).toEqual(["depth = 9 (1)", "depth = 10 (2)", "depth = none (1)"]);
  expect(lines[1]?.points).toEqual([
    [0, 2],
    [1, 3],
  ]);
  expect(bands[1]?.points).toEqual([
    [0, 1, 3],
    [1, 1, 5],
  ]);
});

it("leaves out runs that did not log the metric", () => {
  expect(curveLines([curve("a", [])], [run("a", "a")], {}).lines).toEqual([]);
});
