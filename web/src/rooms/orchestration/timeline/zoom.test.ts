import { expect, it } from "vitest";
import { LEAST, MOST, move, place, rows, zoom } from "./zoom";

const hour = { from: 0, to: 3_600_000 };

it("zooms around a point and not beyond its limits", () => {
  expect(zoom(hour, 0.5, 0)).toEqual({ from: 0, to: 1_800_000 });
  expect(zoom(hour, 0.5, 1)).toEqual({ from: 1_800_000, to: 3_600_000 });
  expect(zoom(hour, 2)).toEqual({ from: -1_800_000, to: 5_400_000 });
  const least = zoom(hour, 0.0001);
  expect(least.to - least.from).toBe(LEAST);
  const most = zoom(hour, 1e9);
  expect(most.to - most.from).toBe(MOST);
});

it("moves and places", () => {
  expect(move(hour, -0.5)).toEqual({ from: -1_800_000, to: 1_800_000 });
  expect(place(hour, 900_000)).toBe(25);
});

it("puts runs that overlap into rows of their own, up to a limit", () => {
  const bars = [
    { from: 0, to: 10 },
    { from: 5, to: 8 },
    { from: 6, to: 7 },
    { from: 9, to: 12 },
    { from: 10, to: 11 },
  ];
  expect(rows(bars, 9)).toEqual([0, 1, 2, 1, 0]);
  expect(rows(bars, 2)).toEqual([0, 1, 1, 1, 0]);
});
