import { expect, it } from "vitest";
import type { ItemView, StepView } from "../../../api/types.gen";
import { ganttOf, ganttOfItems, nodesOf, statesOf } from "./model";

const step = (change: Partial<StepView>) =>
  ({ id: "each", kind: "run", status: "running", needs: [], attempts: [], ...change }) as StepView;

const item = (label: string, started_at: string | null) =>
  ({ step: "each[3]", label, status: "running", started_at, ended_at: null }) as ItemView;

it("tells what needs somebody first, and what has not begun last", () => {
  const counts = { succeeded: 5, running: 2, failed: 1, cached: 3 };
  const items = { total: 20, not_begun: 9, counts, failures: [] };
  expect(statesOf(items).map(({ state, count }) => `${count} ${state}`)).toEqual([
    "1 failed",
    "2 running",
    "5 succeeded",
    "3 cached",
    "9 pending",
  ]);
  expect(nodesOf([step({ items })])[0]?.items).toHaveLength(5);
  expect(nodesOf([step({ items: null })])[0]?.items).toBeUndefined();
});

it("draws a step with items from its beginning to its end, since it has no attempt of its own", () => {
  const items = { total: 2, not_begun: 0, counts: { succeeded: 2 }, failures: [] };
  const times = { started_at: "1970-01-01T00:00:01Z", ended_at: "1970-01-01T00:00:03Z" };
  const [drawn] = ganttOf([step({ items, status: "succeeded", ready_at: times.started_at, ...times })], []);
  expect(drawn).toMatchObject({ items: 2, attempts: [{ start: 1000, end: 3000, status: "succeeded" }] });
});

it("calls items by their values, and leaves out what has not begun", () => {
  const [one, other, bare] = ganttOfItems([
    item("model=forest, depth=8", "1970-01-01T00:00:01Z"),
    item("eu", null),
    item("", null),
  ]);
  expect(one).toMatchObject({ id: "each[3]", name: "forest, 8", attempts: [{ start: 1000, end: null }] });
  expect(other).toMatchObject({ name: "eu", attempts: [] });
  expect(bare?.name).toBe("each[3]");
});
