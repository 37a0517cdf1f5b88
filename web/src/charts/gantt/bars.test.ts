import { expect, it } from "vitest";
import { barsOf, type GanttStep, range, total } from "./bars";

const step = (change: Partial<GanttStep>): GanttStep => ({
  id: "s",
  status: "succeeded",
  ready: 0,
  start: null,
  end: null,
  attempts: [],
  critical: false,
  ...change,
});
const attempt = (number: number, status: string, start: number, end: number | null) => ({ number, status, start, end });
const shown = (given: GanttStep, now = 100) => barsOf(given, now).map(({ kind, from, to }) => `${kind} ${from}-${to}`);

it("shows the queue, each attempt and the pauses between them", () => {
  const retried = step({
    start: 10,
    end: 60,
    attempts: [attempt(1, "failed", 10, 20), attempt(2, "succeeded", 50, 60)],
  });
  expect(shown(retried)).toEqual(["queue 0-10", "work 10-20", "pause 20-50", "work 50-60"]);
  expect(total(barsOf(retried, 100), "work")).toBe(20);
});

it("goes on until now while a step waits or works", () => {
  expect(shown(step({ status: "pending" }))).toEqual(["queue 0-100"]);
  expect(shown(step({ status: "pending", ready: null }))).toEqual([]);
  expect(shown(step({ status: "running", start: 0, attempts: [attempt(1, "running", 0, null)] }))).toEqual([
    "work 0-100",
  ]);
  expect(shown(step({ status: "waiting", start: 5, attempts: [attempt(1, "waiting", 5, null)] }))).toEqual([
    "queue 0-5",
    "wait 5-100",
  ]);
  expect(shown(step({ status: "retrying", start: 0, attempts: [attempt(1, "failed", 0, 9)] }))).toEqual([
    "work 0-9",
    "pause 9-100",
  ]);
});

it("shows nothing of a step that was skipped", () => {
  expect(shown(step({ status: "skipped", ready: null, end: 50 }))).toEqual([]);
  expect(shown(step({ status: "skipped", ready: 1, end: 50 }))).toEqual([]);
});

it("ranges over all bars", () => {
  expect(range(barsOf(step({ start: 3, end: 3, attempts: [attempt(1, "cached", 3, 3)] }), 9))).toEqual({
    from: 0,
    to: 3,
  });
  expect(range([])).toEqual({ from: 0, to: 1 });
});
