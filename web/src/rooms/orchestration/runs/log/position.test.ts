import { expect, it } from "vitest";
import { LINE, pages, positionOf, scale, scrolled, visible, within } from "./position";

const small = { lines: 100, height: 360 };
const huge = { lines: 10_000_000, height: 360 };

it("scrolls a short log pixel by pixel", () => {
  expect([scrolled(small), scale(small)]).toEqual([100 * LINE, 1]);
  expect(visible(small, 180, 2)).toEqual({ from: 8, to: 32 });
  expect(scale({ lines: 3, height: 360 })).toBe(1);
});

it("scrolls a long log in proportion, so that its last line is reached", () => {
  expect(scrolled(huge)).toBe(6_000_000);
  const end = (scrolled(huge) - huge.height) * scale(huge);
  expect(visible(huge, end, 0)).toEqual({ from: 9_999_980, to: 10_000_000 });
});

it("finds the place of a line", () => {
  expect(positionOf(small, 50)).toBe(50 * LINE - 171);
  expect(positionOf(small, 0)).toBe(0);
  expect(positionOf(small, 99, "start")).toBe(within(small, Infinity));
  expect(positionOf(small, 30, "end")).toBe(31 * LINE - 360);
});

it("names the pages of a range", () => {
  expect(pages(499, 1001, 500)).toEqual([0, 1, 2]);
  expect(pages(500, 500, 500)).toEqual([]);
});
