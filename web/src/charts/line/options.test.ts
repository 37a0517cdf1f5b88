import { expect, it } from "vitest";
import type { ChartColors } from "../engine/colors";
import { type LineLook, lineOptions } from "./options";
import { lineData } from "./data";

const COLORS: ChartColors = {
  text: "#111111",
  muted: "#222222",
  line: "#333333",
  surface: "#ffffff",
  bad: "#ff0000",
  series: ["#0000aa", "#00aa00"],
  ramp: ["#000000", "#ffffff"],
};
const LINES = [
  {
    name: "a",
    points: [
      [0, 1],
      [1, -2],
      [2, 3],
    ] as [number, number][],
  },
];
const BANDS = [
  {
    name: "a",
    points: [
      [0, 0, 2],
      [2, 1, 5],
    ] as [number, number, number][],
  },
];

interface Drawn {
  xAxis: { type: string };
  yAxis: { type: string };
  series: { type: string; data: unknown[] }[];
}
const options = (look: LineLook) => lineOptions(LINES, look, COLORS) as unknown as Drawn;

it("leaves out what a log axis cannot show", () => {
  const { xAxis, yAxis, series } = options({ logX: true, logY: true });
  expect([xAxis.type, yAxis.type]).toEqual(["log", "log"]);
  expect(series[0]?.data).toEqual([[2, 3]]);
});

it("lays a band behind its line", () => {
  expect(options({ bands: BANDS }).series.map(({ type }) => type)).toEqual(["line", "custom"]);
  expect(options({ bands: BANDS, logY: true }).series[1]?.data).toEqual([[2, 1, 5]]);
  expect(options({ bands: BANDS, logX: true }).series[1]?.data).toEqual([[2, 1, 5]]);
});

it("saves values as they were logged, with the band beside them", () => {
  expect(lineData("loss", LINES, { xName: "step", smoothing: 0.9 })).toEqual({
    columns: ["series", "step", "loss"],
    rows: [
      ["a", 0, 1],
      ["a", 1, -2],
      ["a", 2, 3],
    ],
  });
  const { columns, rows } = lineData("loss", LINES, { bands: BANDS, x: "time" });
  expect(columns).toEqual(["series", "time", "loss", "least", "most"]);
  expect(rows[0]).toEqual(["a", "1970-01-01T00:00:00.000Z", 1, 0, 2]);
  expect(rows[1]?.slice(3)).toEqual([undefined, undefined]);
});
