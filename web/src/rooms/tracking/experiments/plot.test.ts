import { expect, it } from "vitest";
import type { TrackedRun } from "../../../api/types.gen";
import { columnOf } from "./columns";
import { firstFields, plotOf, telling } from "./plot";

const run = (id: string, depth: string, auc: number) =>
  ({ id, name: id, params: { depth, data: "one" }, metrics: { auc }, tags: {} }) as unknown as TrackedRun;
const RUNS = [run("a", "3", 0.7), run("b", "5", 0.8)];
const FIELDS = ["params.depth", "params.data", "metrics.auc"];

it("makes a row a run, the selected ones over the others", () => {
  const { rows, axes } = plotOf(RUNS, FIELDS, new Set(["a"]));
  expect(rows.map((row) => [row.id, row.picked])).toEqual([
    ["b", false],
    ["a", true],
  ]);
  expect(axes.map((axis) => axis.name)).toEqual(["depth", "data", "auc"]);
});

it("leaves out fields of one value", () => {
  const { rows, axes } = telling(plotOf(RUNS, FIELDS, new Set()));
  expect(axes.map((axis) => axis.name)).toEqual(["depth", "auc"]);
  expect(rows[0]?.cells).toEqual(["3", 0.7]);
});

it("begins with parameters and ends with what the table is sorted by", () => {
  const columns = ["metrics.loss", "metrics.auc", "params.depth"].map((key) => columnOf(key)!);
  expect(firstFields(columns, "-metrics.auc")).toEqual(["params.depth", "metrics.loss", "metrics.auc"]);
  expect(firstFields(columns, undefined)).toEqual(["params.depth", "metrics.auc", "metrics.loss"]);
});
