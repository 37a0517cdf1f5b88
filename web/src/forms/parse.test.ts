import { expect, it } from "vitest";
import { initial, inputKind, parseForm } from "./parse";

it.each([
  ["long", "integer"],
  ["double", "number"],
  ["Float64", "number"],
  ["boolean", "boolean"],
  ["list[integer]", "json"],
  ["string", "text"],
])("%s is asked for as %s", (type, kind) => expect(inputKind(type)).toBe(kind));

const field = (name: string, type: string, required = true) => ({ name, type, required });

it("reads numbers, truths and JSON", () => {
  const fields = [field("n", "long"), field("x", "double"), field("b", "boolean"), field("j", "json")];
  expect(parseForm(fields, { n: "12", x: "1.5", b: false, j: "[1]" })).toEqual({
    values: { n: 12, x: 1.5, b: false, j: [1] },
    errors: {},
  });
});

it("says what is wrong, field by field", () => {
  const fields = [field("n", "long"), field("x", "double"), field("y", "double"), field("j", "json")];
  expect(parseForm(fields, { n: "1.5", x: "", y: "abc", j: "{" }).errors).toEqual({
    n: "not a whole number",
    x: "this field is needed",
    y: "not a number",
    j: "not JSON",
  });
});

it("leaves out what may be empty", () =>
  expect(parseForm([field("n", "long", false)], { n: "" })).toEqual({ values: {}, errors: {} }));

it("shows values as they are typed", () => {
  expect(initial(3)).toBe("3");
  expect(initial(null)).toBe("");
  expect(initial([1])).toBe("[1]");
});
