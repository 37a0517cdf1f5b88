import { expect, it } from "vitest";
import { firstError, matches } from "./log";
import { appendText } from "./useLog";

it("joins a line that came in two pieces", () =>
  expect(appendText(appendText([], "one\ntw"), "o\nthree\n")).toEqual(["one", "two", "three", ""]));

it("opens at the traceback rather than at its last line", () =>
  expect(firstError(["start", "Traceback (most recent call last):", "ValueError: error"])).toBe(1));

it("finds no error where there is none", () => expect(firstError(["fine", "0 terrors"])).toBe(-1));

it("finds lines whatever their case", () => expect(matches(["Rows: 5", "x", "rows"], "ROWS")).toEqual([0, 2]));
