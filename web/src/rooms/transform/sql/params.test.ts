import { expect, it } from "vitest";
import { paramCount, paramsOf, paramValue } from "./params";

it.each([
  ["select * from t where a = $1 and b > $2", 2],
  ["select '$3', \"$4\" -- $5\n /* $6 */", 0],
  ["select 'it''s $9', $1", 1],
])("%s binds %i values", (sql, count) => expect(paramCount(sql)).toBe(count));

it("reads what is typed by its look", () => {
  expect(["12", "1.5", "true", "null", '"12"', "UA", ""].map(paramValue)).toEqual([
    12,
    1.5,
    true,
    null,
    "12",
    "UA",
    "",
  ]);
});

it("brings back what stood in the address", () => {
  const typed = paramsOf('[12,"12","UA",null,true]');
  expect(typed.map(paramValue)).toEqual([12, "12", "UA", null, true]);
  expect(paramsOf("no list")).toEqual([]);
});
