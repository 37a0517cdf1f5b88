import { expect, it } from "vitest";
import { selectFrom } from "./selectFrom";

it("quotes names that are not plain words", () => {
  expect(selectFrom("flights")).toBe("select *\nfrom flights\nlimit 100");
  expect(selectFrom("raw/a.csv")).toContain('from "raw/a.csv"');
  expect(selectFrom("Flights")).toContain('from "Flights"');
  expect(selectFrom('a"b')).toContain('from "a""b"');
});
