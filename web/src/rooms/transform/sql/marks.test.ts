import { expect, it } from "vitest";
import { ApiError } from "../../../api/client";
import { marksOf } from "./marks";

const failed = (line: number, column: number, file = "query") =>
  new ApiError(400, {
    code: "query-failed",
    severity: "error",
    message: "there is no column",
    place: { file, line, column, length: 1 },
  });

it("marks the word at the place, in its line", () => {
  const [mark] = marksOf(failed(2, 7), "select a\nwhere carier = 1");
  expect(mark).toMatchObject({ line: 2, column: 7, length: 6 });
  expect(marksOf(failed(1, 8), 'select "a b" from t')[0]?.length).toBe(5);
});

it("marks nothing where the query is not to blame", () => {
  expect(marksOf(failed(1, 1, "flows/a.yaml"), "select 1")).toEqual([]);
  expect(marksOf(new Error("gone"), "select 1")).toEqual([]);
  expect(marksOf(null, "select 1")).toEqual([]);
});
