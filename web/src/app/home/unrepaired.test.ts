import { expect, it } from "vitest";
import type { RunSummary } from "../../api/types.gen";
import { unrepaired } from "./unrepaired";

const run = (id: string, pipeline: string, status: string, ended = true) =>
  ({ id, pipeline, status, ended_at: ended ? "2026-01-01T00:00:00Z" : null }) as RunSummary;

it("forgets a failure that a later run made good", () => {
  const runs = [
    run("4", "a", "running", false),
    run("3", "a", "succeeded"),
    run("2", "a", "failed"),
    run("1", "b", "failed"),
  ];
  expect(unrepaired(runs).map((entry) => entry.id)).toEqual(["1"]);
});
