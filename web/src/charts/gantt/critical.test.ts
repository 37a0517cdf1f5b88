import { expect, it } from "vitest";
import { criticalPath, type GanttStep } from "./critical";

const step = (id: string, needs: string[], start: number | null, end: number | null): GanttStep => ({
  id,
  needs,
  start,
  end,
  ready: start,
  status: "succeeded",
});

it("follows the need that ended last", () => {
  const steps = [step("a", [], 0, 10), step("b", [], 0, 30), step("c", ["a", "b"], 30, 40), step("d", ["a"], 10, 20)];
  expect([...criticalPath(steps)]).toEqual(["c", "b"]);
});

it("leaves out what never started and survives a circle", () => {
  const steps = [step("a", ["b"], 0, 10), step("b", ["a"], 0, 9), step("c", ["a"], null, null)];
  expect([...criticalPath(steps)]).toEqual(["a", "b"]);
});
