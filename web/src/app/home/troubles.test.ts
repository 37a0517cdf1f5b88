import { expect, it } from "vitest";
import type { TriggerStatusView } from "../../api/types.gen";
import { troubles } from "./troubles";

const trigger = (change: Partial<TriggerStatusView>) =>
  ({
    pipeline: "p",
    trigger: "t",
    paused: false,
    overdue_since: null,
    why: null,
    windows: [],
    ...change,
  }) as TriggerStatusView;

it("tells what is overdue, and windows that wait for somebody, though later ones succeeded", () => {
  const windows = [
    { state: "succeeded", windows: 42 },
    { state: "failed", windows: 2 },
    { state: "stale", windows: 1 },
  ];
  const why = "waits for `a`: 2026-11-22T00:00:00+01:00 is failed";
  expect(troubles([trigger({ windows, overdue_since: "2026-11-22T23:00:00Z", why })])).toEqual([
    { pipeline: "p", trigger: "t", status: "overdue", words: "waits for `a`: 2026-11-22 is failed" },
    { pipeline: "p", trigger: "t", status: "failed", words: "2 windows" },
    { pipeline: "p", trigger: "t", status: "stale", words: "1 window" },
  ]);
  expect(troubles([trigger({ windows, paused: true }), trigger({})])).toEqual([]);
});
