import { expect, it } from "vitest";
import { smooth } from "./smooth";

it("leaves points alone without a weight", () =>
  expect(
    smooth(
      [
        [0, 1],
        [1, 3],
      ],
      0,
    ),
  ).toEqual([
    [0, 1],
    [1, 3],
  ]));

it("starts at the first value and follows slowly", () => {
  const [first, second] = smooth(
    [
      [0, 1],
      [1, 3],
    ],
    0.5,
  );
  expect(first).toEqual([0, 1]);
  expect(second?.[1]).toBeCloseTo((0.25 * 1 + 0.5 * 3) / 0.75);
});

it("steps over what is not a number", () => {
  const result = smooth(
    [
      [0, 1],
      [1, Number.NaN],
      [2, 1],
    ],
    0.9,
  );
  expect(result[2]?.[1]).toBeCloseTo(1);
});
