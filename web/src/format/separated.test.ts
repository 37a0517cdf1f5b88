import { expect, it } from "vitest";
import { separated, typed } from "./separated";

it("reads quotes, line ends of all kinds and a byte order mark", () => {
  expect(separated('\uFEFFa,b\r\n"x, ""y""\nz",2\n\n3,', ",")).toEqual([
    ["a", "b"],
    ['x, "y"\nz', "2"],
    ["3", ""],
  ]);
});

it("leaves out a row that is cut off", () => {
  expect(separated("a\tb\n1\t2\n3\t", "\t", false)).toEqual([
    ["a", "b"],
    ["1", "2"],
  ]);
});

it("makes numbers of columns that have only numbers", () => {
  const rows = [
    ["1", "01", "x", ""],
    ["2.5", "02", "3", "4"],
  ];
  expect(typed(rows, 4)).toEqual([
    [1, "01", "x", null],
    [2.5, "02", "3", 4],
  ]);
});
