import { expect, it } from "vitest";
import { chartFields } from "./chartFields";

const columns = [
  { name: "day", type: "Date32" },
  { name: "carrier", type: "Utf8" },
  { name: "delay", type: "Float64" },
  { name: "flights", type: "Int64" },
];

it("draws numbers over time as lines, over words as bars, over numbers as dots", () => {
  expect(chartFields(columns, {})).toEqual({ kind: "line", x: "day", y: ["delay"], by: undefined });
  expect(chartFields(columns.slice(1), {})).toMatchObject({ kind: "bar", x: "carrier", y: ["delay"] });
  expect(chartFields(columns.slice(2), {})).toMatchObject({ kind: "scatter", x: "delay", y: ["flights"] });
});

it("does as it is told where there are such columns", () => {
  const asked = { chart: "bar", x: "carrier", y: "flights,gone", by: "day" } as const;
  expect(chartFields(columns, asked)).toEqual({ kind: "bar", x: "carrier", y: ["flights"], by: "day" });
  expect(chartFields(columns, { x: "gone", by: "gone" })).toMatchObject({ x: "day", by: undefined });
});

it("has nothing to draw without a number", () => expect(chartFields(columns.slice(1, 2), {})).toBeNull());
