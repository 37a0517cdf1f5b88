import { expect, it } from "vitest";
import type { SpanSummary } from "../../../api/types.gen";
import { found, spanRows, traceEnd } from "./spanTree";

const span = (id: string, parent_id: string | null, start_ms: number, name = id): SpanSummary => ({
  id,
  parent_id,
  name,
  kind: "",
  status: "OK",
  start_ms,
  duration_ms: 5,
  tokens: null,
});
const shape = (rows: ReturnType<typeof spanRows>) => rows.map((row) => `${"  ".repeat(row.depth)}${row.span.id}`);
const SPANS = [
  span("root", null, 0),
  span("late", "root", 9),
  span("early", "root", 1),
  span("leaf", "early", 2),
  span("orphan", "gone", 3),
];

it("sets out the tree by time, with what lost its parent at the top", () => {
  const rows = spanRows(SPANS, new Set());
  expect(shape(rows)).toEqual(["root", "  early", "    leaf", "  late", "orphan"]);
  expect(rows[0]?.inside).toBe(3);
  expect(traceEnd(SPANS)).toBe(14);
});

it("hides what is in a closed span, and shows what is found with all above it", () => {
  expect(shape(spanRows(SPANS, new Set(["early"])))).toEqual(["root", "  early", "  late", "orphan"]);
  expect(shape(spanRows(SPANS, new Set(), found(SPANS, "LEAF")))).toEqual(["root", "  early", "    leaf"]);
});

it("ends with circles and goes as deep as 30,000 spans", () => {
  expect(spanRows([span("a", "b", 0), span("b", "a", 0)], new Set())).toEqual([]);
  const chain = Array.from({ length: 30_000 }, (_, at) => span(String(at), at ? String(at - 1) : null, at));
  expect(spanRows(chain, new Set()).at(-1)?.depth).toBe(29_999);
});
