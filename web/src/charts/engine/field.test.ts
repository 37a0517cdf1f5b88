import { expect, it } from "vitest";
import { axisOf, placeOf, shareOf } from "./field";

it("takes texts of numbers as numbers", () => {
  const axis = axisOf("depth", ["3", "7", undefined]);
  expect(axis).toMatchObject({ type: "value", least: 3, most: 7 });
  expect(placeOf("5", axis)).toBe(5);
  expect(shareOf("5", axis)).toBe(0.5);
});

it("spreads settings of many magnitudes by their logarithm", () => {
  expect(axisOf("rate", ["0.001", "0.01", "0.3"]).type).toBe("log");
  expect(axisOf("loss", [0.001, 0.3]).type).toBe("value");
  expect(axisOf("rate", ["0", "0.3"]).type).toBe("value");
});

it("puts words in order", () => {
  const axis = axisOf("data", ["v10", "v9", "v9", undefined]);
  expect(axis).toMatchObject({ type: "category", words: ["v9", "v10"] });
  expect(shareOf("v10", axis)).toBe(1);
});

it("has no place for what is missing or cannot be on a log axis", () => {
  expect(placeOf(undefined, axisOf("a", [1]))).toBeNull();
  expect(placeOf(-1, axisOf("a", [-1, 10], true))).toBeNull();
});
