import { expect, it } from "vitest";
import type { TrackedRun } from "../../../api/types.gen";
import { differences } from "./differences";

const run = (params: Record<string, string>, metrics: Record<string, number> = {}, tags: Record<string, string> = {}) =>
  ({ params, metrics, tags, status: "FINISHED" }) as unknown as TrackedRun;

it("keeps only what differs", () => {
  const runs = [run({ depth: "3", rate: "0.1" }), run({ depth: "5", rate: "0.1" })];
  expect(differences(runs, false).map(({ name, values }) => [name, values])).toEqual([["depth", ["3", "5"]]]);
  expect(differences(runs, true).map(({ name }) => name)).toEqual(["depth", "rate", "status"]);
});

it("counts a value that one run lacks as a difference", () => {
  expect(differences([run({ depth: "3" }), run({})], false)[0]?.values).toEqual(["3", undefined]);
});

it("puts parameters before metrics and leaves out tags for software", () => {
  const runs = [
    run({ depth: "3" }, { auc: 0.7 }, { "mlflow.log-model.history": "a" }),
    run({ depth: "4" }, { auc: 0.8 }, { "mlflow.log-model.history": "b" }),
  ];
  expect(differences(runs, false).map(({ name }) => name)).toEqual(["depth", "auc"]);
});
