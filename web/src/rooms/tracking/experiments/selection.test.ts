import { expect, it } from "vitest";
import { MOST_SELECTED, toggled } from "./selection";

it("selects and lets go", () => {
  expect(toggled(["a"], "b")).toEqual(["a", "b"]);
  expect(toggled(["a", "b"], "a")).toEqual(["b"]);
});

it("makes room at the limit", () => {
  const full = Array.from({ length: MOST_SELECTED }, (_, index) => `r${index}`);
  const next = toggled(full, "new");
  expect(next).toHaveLength(MOST_SELECTED);
  expect(next.at(-1)).toBe("new");
  expect(next).not.toContain("r0");
});
