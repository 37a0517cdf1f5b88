export type Schema = Record<string, unknown>;

/** How a value is asked for; made of its JSON Schema. */
export type Shape =
  | { kind: "text" }
  | { kind: "number"; integer: boolean }
  | { kind: "boolean" }
  | { kind: "choice"; options: { value: unknown; about?: string }[] }
  | { kind: "list"; item: Shape }
  | { kind: "map"; value: Shape }
  /** `more`: what further names have, which are the user's own. */
  | { kind: "object"; fields: FieldShape[]; more?: Shape }
  | { kind: "either"; options: { label: string; shape: Shape }[] }
  | { kind: "any" };

export interface FieldShape {
  name: string;
  shape: Shape;
  required: boolean;
  about?: string;
  standard?: unknown;
}

/** Shapes within shapes beyond these are asked for as text. */
const DEEPEST = 6;

/** The shape that a schema describes. */
export function shapeOf(schema: Schema, root: Schema = schema, depth = 0): Shape {
  const found = followed(schema, root);
  if (depth > DEEPEST) return { kind: "any" };
  const alternatives = listOf(found.anyOf) ?? listOf(found.oneOf);
  if (alternatives) return choiceOf(alternatives, root, depth);
  if (Array.isArray(found.enum)) {
    const values = found.enum.filter((value) => value !== null);
    return { kind: "choice", options: values.map((value) => ({ value })) };
  }
  if ("const" in found) return { kind: "choice", options: [{ value: found.const, about: textOf(found.description) }] };
  return byType(found, root, depth);
}

function byType(found: Schema, root: Schema, depth: number): Shape {
  const type = Array.isArray(found.type) ? found.type.filter((one) => one !== "null") : [found.type];
  if (type.length > 1) {
    const options = type.map((one) => ({
      label: String(one),
      shape: byType({ ...found, type: one }, root, depth + 1),
    }));
    return { kind: "either", options };
  }
  switch (type[0]) {
    case "string":
      return { kind: "text" };
    case "integer":
    case "number":
      return { kind: "number", integer: type[0] === "integer" };
    case "boolean":
      return { kind: "boolean" };
    case "array":
      return { kind: "list", item: isSchema(found.items) ? shapeOf(found.items, root, depth + 1) : { kind: "any" } };
    case "object":
      return objectOf(found, root, depth);
    default:
      return isSchema(found.properties) ? objectOf(found, root, depth) : { kind: "any" };
  }
}

function objectOf(found: Schema, root: Schema, depth: number): Shape {
  const properties = isSchema(found.properties) ? Object.entries(found.properties) : [];
  if (properties.length === 0)
    return isSchema(found.additionalProperties)
      ? { kind: "map", value: shapeOf(found.additionalProperties, root, depth + 1) }
      : { kind: "any" };
  const needed = Array.isArray(found.required) ? found.required : [];
  const fields = properties.filter((entry): entry is [string, Schema] => isSchema(entry[1]));
  return {
    kind: "object",
    fields: fields
      .map(([name, schema]) => ({
        name,
        shape: shapeOf(schema, root, depth + 1),
        required: needed.includes(name),
        about: textOf(schema.description) ?? textOf(followed(schema, root).description),
        standard: schema.default,
      }))
      .toSorted((a, b) => Number(b.required) - Number(a.required)),
    ...(isSchema(found.additionalProperties) && { more: shapeOf(found.additionalProperties, root, depth + 1) }),
  };
}

/** Several schemas of which one holds: words to choose from, one shape if they come down to it, else several. */
function choiceOf(options: Schema[], root: Schema, depth: number): Shape {
  const real = options.map((one) => followed(one, root)).filter((one) => one.type !== "null");
  const words = real.flatMap(wordsOf);
  if (words.length > 0 && real.every((one) => wordsOf(one).length > 0)) return { kind: "choice", options: words };
  const shapes = real.map((one) => ({ label: labelOf(one), shape: shapeOf(one, root, depth + 1) }));
  const [first] = shapes;
  if (!first) return { kind: "any" };
  if (shapes.length === 1) return first.shape;
  // One name or a list of names is a list.
  const list = shapes.find(({ shape }) => shape.kind === "list" && shape.item.kind === "text");
  if (list && shapes.every((one) => one === list || one.shape.kind === "text")) return list.shape;
  return { kind: "either", options: shapes };
}

function wordsOf(schema: Schema): { value: unknown; about?: string }[] {
  if ("const" in schema) return [{ value: schema.const, about: textOf(schema.description) }];
  return Array.isArray(schema.enum) ? schema.enum.map((value) => ({ value })) : [];
}

function labelOf(schema: Schema): string {
  const about = textOf(schema.description)?.split(/[.\n]/)[0];
  return about || textOf(schema.title) || String(schema.type ?? "value");
}

/** The schema behind references. */
function followed(schema: Schema, root: Schema): Schema {
  let here = schema;
  for (let steps = 0; steps < 10 && typeof here.$ref === "string"; steps += 1) {
    const path = here.$ref.replace(/^#\/?/, "").split("/").filter(Boolean);
    const next = path.reduce<unknown>((at, part) => (isSchema(at) ? at[part] : undefined), root);
    if (!isSchema(next)) return {};
    // What stands beside a reference is about this place.
    here = { ...next, ...without(here, "$ref") };
  }
  const [only] = listOf(here.allOf) ?? [];
  return only && !here.type && !here.properties ? { ...followed(only, root), ...without(here, "allOf") } : here;
}

function without(schema: Schema, key: string): Schema {
  return Object.fromEntries(Object.entries(schema).filter(([name]) => name !== key));
}

const isSchema = (value: unknown): value is Schema =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const listOf = (value: unknown): Schema[] | undefined => (Array.isArray(value) ? value.filter(isSchema) : undefined);
const textOf = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);

/** Whether a value can be shown in such a shape. */
export function fits(value: unknown, shape: Shape): boolean {
  switch (shape.kind) {
    case "text":
      return typeof value === "string";
    case "number":
      return typeof value === "number";
    case "boolean":
      return typeof value === "boolean";
    case "choice":
      return shape.options.some((option) => option.value === value);
    case "list":
      return Array.isArray(value) && value.every((item) => fits(item, shape.item));
    case "map":
      return isSchema(value) && Object.values(value).every((one) => fits(one, shape.value));
    case "object":
      return isSchema(value) && Object.keys(value).every((key) => shape.fields.some((field) => field.name === key));
    case "either":
      return shape.options.some((option) => fits(value, option.shape));
    default:
      return true;
  }
}

/** What a new value of a shape is at first. */
export function blank(shape: Shape): unknown {
  switch (shape.kind) {
    case "text":
      return "";
    case "number":
      return 0;
    case "boolean":
      return false;
    case "choice":
      return shape.options[0]?.value;
    case "list":
      return [];
    case "either":
      return shape.options[0] ? blank(shape.options[0].shape) : null;
    case "map":
      return {};
    case "object": {
      const needed = shape.fields.filter((field) => field.required);
      return Object.fromEntries(needed.map((field) => [field.name, blank(field.shape)]));
    }
    default:
      return null;
  }
}
