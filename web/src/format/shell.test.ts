import { expect, it } from "vitest";
import { shellWord } from "./shell";

it("quotes only what a shell would read", () => {
  expect(shellWord("raw/a.csv")).toBe("raw/a.csv");
  expect(shellWord("select 1")).toBe("'select 1'");
  expect(shellWord("it's $1")).toBe(`'it'\\''s $1'`);
  expect(shellWord("")).toBe("''");
});
