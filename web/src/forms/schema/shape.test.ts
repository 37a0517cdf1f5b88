import { expect, it } from "vitest";
import { blank, fits, shapeOf } from "./shape";

const JOIN = {
  type: "object",
  properties: {
    on: { description: "Key columns.", $ref: "#/$defs/On" },
    how: { description: "Which rows stay.", $ref: "#/$defs/How", default: "inner" },
    suffix: { type: ["string", "null"] },
    limit: { anyOf: [{ type: "integer" }, { type: "null" }] },
  },
  required: ["on"],
  $defs: {
    How: { oneOf: [{ const: "inner", description: "Both sides." }, { enum: ["left", "right"] }] },
    On: {
      anyOf: [
        { type: "string" },
        { type: "array", items: { type: "string" } },
        { type: "object", additionalProperties: { type: "string" } },
      ],
    },
  },
};

it("makes fields of properties, those that are needed first", () => {
  const shape = shapeOf(JOIN);
  if (shape.kind !== "object") throw new Error(shape.kind);
  const [on, how, suffix, limit] = shape.fields;
  expect(on).toMatchObject({ name: "on", required: true, about: "Key columns." });
  expect(on?.shape.kind).toBe("either");
  expect(how).toMatchObject({
    standard: "inner",
    shape: {
      kind: "choice",
      options: [{ value: "inner", about: "Both sides." }, { value: "left" }, { value: "right" }],
    },
  });
  expect(suffix?.shape).toEqual({ kind: "text" });
  expect(limit?.shape).toEqual({ kind: "number", integer: true });
});

it("takes one name or several as several, and a mapping of anything as pairs", () => {
  const names = { anyOf: [{ type: "string" }, { type: "array", items: { type: "string" } }] };
  expect(shapeOf(names)).toEqual({ kind: "list", item: { kind: "text" } });
  const own = { properties: { each: { type: "string" } }, additionalProperties: { type: "number" } };
  expect(shapeOf({ type: "object", ...own })).toEqual({
    kind: "object",
    fields: [{ name: "each", shape: { kind: "text" }, required: false }],
    more: { kind: "number", integer: false },
  });
  expect(shapeOf({ type: "object", additionalProperties: { type: "number" } })).toEqual({
    kind: "map",
    value: { kind: "number", integer: false },
  });
  expect(shapeOf({ type: "string" })).toEqual({ kind: "text" });
});

it("ends where a schema refers to itself", () => {
  const loop = { $ref: "#/$defs/A", $defs: { A: { type: "array", items: { $ref: "#/$defs/A" } } } };
  expect(JSON.stringify(shapeOf(loop))).toContain('"kind":"any"');
  expect(shapeOf({ $ref: "#/$defs/None" })).toEqual({ kind: "any" });
});

it("tells which shape a value has, and what a new one is", () => {
  const shape = shapeOf(JOIN);
  expect(fits({ on: ["a"], how: "left" }, shape)).toBe(true);
  expect(fits({ other: 1 }, shape)).toBe(false);
  expect(fits([1], { kind: "list", item: { kind: "text" } })).toBe(false);
  expect(blank(shape)).toEqual({ on: "" });
});
