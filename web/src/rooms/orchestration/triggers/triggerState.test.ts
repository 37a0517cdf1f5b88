import { expect, test } from "vitest";
import type { TriggerStatusView } from "../../../api/types.gen";
import { triggerGroup, triggerState } from "./triggerState";

const trigger = (change: Partial<TriggerStatusView>): TriggerStatusView => ({
  pipeline: "daily",
  trigger: "t",
  kind: "cron",
  rule: "0 6 * * *",
  description: "",
  timezone: "UTC",
  paused: false,
  next_at: null,
  upcoming: [],
  last: null,
  overdue_since: null,
  why: null,
  windows: [],
  ...change,
});

test("a pause explains why nothing fires, so it is told before anything else", () => {
  const since = "2026-03-01T06:00:00Z";
  expect(triggerState(trigger({ paused: true, overdue_since: since }))).toBe("paused");
  expect(triggerState(trigger({ overdue_since: since, next_at: since }))).toBe("overdue");
  expect(triggerState(trigger({ next_at: since }))).toBe("on");
  expect(triggerState(trigger({}))).toBe("over");
});

test("what waits for something to happen listens, and has no instant", () => {
  expect(triggerState(trigger({ kind: "webhook", rule: "" }))).toBe("listening");
  expect(triggerState(trigger({ kind: "feed", paused: true }))).toBe("paused");
  expect(["cron", "every", "window", "git"].map((kind) => triggerGroup({ kind }))).toEqual([
    "schedule",
    "schedule",
    "window",
    "event",
  ]);
});
