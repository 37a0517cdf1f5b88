import { expect, it } from "vitest";
import { ticksBetween, ticksSince, tickSize } from "./ticks";

it("has round sizes and not too many ticks", () => {
  expect([tickSize(90, 6), tickSize(61_000, 6), tickSize(86_400_000, 8), tickSize(86_400_000 * 900, 6)]).toEqual([
    20,
    20_000,
    10_800_000,
    86_400_000 * 168,
  ]);
  expect(ticksSince(2500, 5)).toEqual([0, 500, 1000, 1500, 2000, 2500]);
});

it("falls on whole hours of the reader's zone", () => {
  const hour = 3_600_000;
  // Two hours before UTC's midnight, in a zone five and a half hours ahead of it.
  expect(ticksBetween(-2 * hour, 10 * hour, 2, -330)).toEqual([0.5 * hour, 6.5 * hour]);
  expect(ticksBetween(0, hour, 4, 0)).toEqual([0, 1_200_000, 2_400_000, hour]);
});
