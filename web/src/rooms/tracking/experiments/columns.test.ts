import { expect, it } from "vitest";
import type { TrackedRun } from "../../../api/types.gen";
import { nextSort, paramDiff, shownColumns } from "./columns";

const run = (params: Record<string, string>) => ({ params, metrics: {} }) as unknown as TrackedRun;
const page = { runs: [], next: null, total: 0, metric_keys: ["auc", "loss"], param_keys: ["depth"] };

it("shows the first columns until some are chosen", () => {
  expect(shownColumns(page, []).map((column) => column.key)).toEqual(["metrics.auc", "metrics.loss", "params.depth"]);
  expect(shownColumns(page, ["params.depth"]).map((column) => column.key)).toEqual(["params.depth"]);
});

it("turns a sort round and then off", () => {
  expect(nextSort(undefined, "metrics.auc")).toBe("-metrics.auc");
  expect(nextSort("-metrics.auc", "metrics.auc")).toBe("metrics.auc");
  expect(nextSort("metrics.auc", "metrics.auc")).toBeUndefined();
});

it("keeps only what differs", () => {
  const runs = [run({ depth: "3", rate: "0.1" }), run({ depth: "5", rate: "0.1" })];
  expect(paramDiff(runs, false)).toEqual([{ name: "depth", values: ["3", "5"] }]);
  expect(paramDiff(runs, true)).toHaveLength(2);
});
