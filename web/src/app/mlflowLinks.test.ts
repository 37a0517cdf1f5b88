import { expect, test } from "vitest";
import { ourAddress } from "./mlflowLinks";

test("links that MLflow's client prints lead to our pages", () => {
  expect(ourAddress("#/experiments/7")).toBe("/experiments/7");
  expect(ourAddress("#/experiments/7/runs/abc")).toBe("/tracked/abc");
  expect(ourAddress("#/experiments/7/runs/abc/artifacts/model")).toBe("/tracked/abc");
  expect(ourAddress("#/experiments/7/models/m-1")).toBe("/logged-models/m-1");
  expect(ourAddress("#/experiments/7/traces?selectedEvaluationId=tr-9")).toBe("/traces/tr-9");
  expect(ourAddress("#/experiments/7/traces")).toBe("/traces?experiment=7");
  expect(ourAddress("#/models/late%20flights/versions/3")).toBe("/models/late%20flights?version=3");
  expect(ourAddress("#/models")).toBe("/models");
});

test("other fragments are left alone", () => {
  for (const hash of ["", "#", "#main", "#/", "#/settings"]) expect(ourAddress(hash)).toBeUndefined();
});
