import { expect, it } from "vitest";
import { jsonTable } from "./jsonTable";

it("reads what mlflow.log_table writes", () => {
  const table = jsonTable({
    columns: ["a", "b"],
    data: [
      [1, "x"],
      [2, null],
    ],
  });
  expect(table).toEqual({
    columns: [{ name: "a" }, { name: "b" }],
    rows: [
      [1, "x"],
      [2, null],
    ],
  });
});

it("reads lists of objects whose fields differ", () => {
  expect(jsonTable([{ a: 1 }, { b: 2, a: 3 }])?.rows).toEqual([
    [1, null],
    [3, 2],
  ]);
});

it("takes nothing else for a table", () => {
  for (const value of [1, "a", [], [1, 2], {}, { columns: ["a"], data: [1] }, null])
    expect(jsonTable(value)).toBeNull();
});
