import { expect, test } from "vitest";
import type { RunView } from "../../../api/types.gen";
import { figuresOf } from "./lastRun";

const ran = (nodes: unknown) =>
  ({
    run: { id: "r1", ended_at: "2026-01-02T03:04:05Z" },
    steps: [{ id: "load", outputs: { nodes } }],
  }) as unknown as RunView;

test("parts of a node count together", () => {
  const last = figuresOf(
    ran([
      { node: "orders", kind: "source", rows: null, busy_ms: 1.5 },
      { node: "split.left", kind: "split", rows: 3, busy_ms: 2 },
      { node: "split.right", kind: "split", rows: 4, busy_ms: 0.5 },
    ]),
    "load",
  );
  expect(last?.run).toBe("r1");
  expect(last?.figures.get("orders")).toEqual({ rows: null, busyMs: 1.5 });
  expect(last?.figures.get("split")).toEqual({ rows: 7, busyMs: 2.5 });
});

test("a step without figures has none", () => {
  expect(figuresOf(ran(undefined), "load")).toBeNull();
  expect(figuresOf(ran([]), "load")).toBeNull();
  expect(figuresOf(ran([{ node: "a", rows: 1, busy_ms: 1 }]), "other")).toBeNull();
});
