import { expect, it } from "vitest";
import { group } from "./bands";

it("takes mean, least and most at each place", () => {
  const { mean, band } = group([
    [
      [0, 1],
      [1, 2],
    ],
    [
      [0, 3],
      [1, 6],
    ],
  ]);
  expect(mean).toEqual([
    [0, 2],
    [1, 4],
  ]);
  expect(band).toEqual([
    [0, 1, 3],
    [1, 2, 6],
  ]);
});

it("reads a curve between its points, but not past its ends", () => {
  const { mean } = group([
    [
      [0, 0],
      [10, 10],
    ],
    [[5, 100]],
  ]);
  expect(mean).toEqual([
    [0, 0],
    [5, 52.5],
    [10, 10],
  ]);
});

it("steps over what is not a number", () => {
  expect(
    group([
      [
        [0, Number.NaN],
        [1, 2],
      ],
    ]).mean,
  ).toEqual([[1, 2]]);
});

it("keeps the first and the last place of many", () => {
  const { mean } = group([Array.from({ length: 5000 }, (_, x) => [x, x])]);
  expect(mean.length).toBeLessThan(500);
  expect([mean[0]?.[0], mean.at(-1)?.[0]]).toEqual([0, 4999]);
});
