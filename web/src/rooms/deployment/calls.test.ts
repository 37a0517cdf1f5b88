import { expect, it } from "vitest";
import { python, snippets } from "./calls";

it("writes Python literals", () =>
  expect(python({ a: null, b: true, c: [1, "x"] })).toBe('{"a": None, "b": True, "c": [1, "x"]}'));

it("quotes the row for the shell", () =>
  expect(snippets("http://h/score", { who: "it's" })[0]?.text).toContain(`it'\\''s`));
