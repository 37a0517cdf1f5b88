import { expect, it } from "vitest";
import { nearest, rates } from "./threshold";

const point = { threshold: 0.5, tp: 30, fp: 10, tn: 50, fn: 10 };

it("turns counts into rates", () => {
  const found = rates(point);
  expect(found.accuracy).toBeCloseTo(0.8);
  expect(found.precision).toBeCloseTo(0.75);
  expect(found.recall).toBeCloseTo(0.75);
  expect(found.f1).toBeCloseTo(0.75);
});

it("gives 0 where nothing was predicted", () => expect(rates({ ...point, tp: 0, fp: 0 }).precision).toBe(0));

it("finds the nearest threshold", () => {
  expect(nearest([point, { ...point, threshold: 0.9 }], 0.8)?.threshold).toBe(0.9);
  expect(nearest([], 0.5)).toBeUndefined();
});
