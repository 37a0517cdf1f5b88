import { expect, it } from "vitest";
import { seriesPlot } from "./options";

const table = {
  columns: [
    { name: "day", type: "Date32" },
    { name: "carrier", type: "Utf8" },
    { name: "n", type: "Int64" },
    { name: "delay", type: "Decimal128(10, 2)" },
  ],
  rows: [
    ["2026-03-02", "UA", 2, "1.50"],
    ["2026-03-01", "AA", 1, "0.25"],
    ["2026-03-01", "UA", null, "2.00"],
    [null, "UA", 9, "9.00"],
  ],
};

it("puts lines in the order of time, each day in UTC, and leaves out what has no place", () => {
  const plot = seriesPlot(table, { kind: "line", x: "day", y: ["n"] });
  expect(plot.axis).toBe("time");
  expect(plot.series).toEqual([
    {
      name: "n",
      points: [
        [Date.UTC(2026, 2, 1), 1],
        [Date.UTC(2026, 2, 2), 2],
      ],
    },
  ]);
});

it("makes a series of each value of a column, and of each number", () => {
  const plot = seriesPlot(table, { kind: "bar", x: "carrier", y: ["n", "delay"], by: "carrier" });
  expect(plot.axis).toBe("category");
  expect(plot.words).toEqual(["UA", "AA"]);
  expect(plot.series.map(({ name }) => name)).toEqual(["UA, n", "UA, delay", "AA, n", "AA, delay"]);
  expect(plot.series[1]?.points).toEqual([
    ["UA", 1.5],
    ["UA", 2],
    ["UA", 9],
  ]);
});

it("draws no more series than can be told apart, and says how many are left", () => {
  const rows = Array.from({ length: 60 }, (_, at) => ["2026-03-01", `c${at}`, at, "0"]);
  const plot = seriesPlot({ ...table, rows }, { kind: "scatter", x: "n", y: ["n"], by: "carrier" });
  expect([plot.series.length, plot.left]).toEqual([40, 20]);
});
