import { expect, it } from "vitest";
import { change } from "./change";

it("says how much more or less", () => {
  expect([change(125, 100), change(90, 100), change(310, 100), change(5000, 100), change(1001, 1000)]).toEqual([
    "+25 %",
    "−10 %",
    "×3.1",
    "×50",
    "+0.1 %",
  ]);
});

it("says nothing where there is nothing to say", () =>
  expect([change(1, 1), change(1, 0), change(null, 1), change(1, undefined), change(100_000, 100_001)]).toEqual([
    null,
    null,
    null,
    null,
    null,
  ]));
