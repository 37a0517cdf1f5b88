import { expect, it } from "vitest";
import { left } from "./left";

it("reckons what is left from what was done", () => {
  expect(left(3000, 0.25)).toBe(9000);
  expect(left(3000, 1)).toBe(0);
  expect(left(3000, 0)).toBeNull();
});
