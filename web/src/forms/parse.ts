export type FieldValue = string | boolean;

export interface FieldSpec {
  name: string;
  type: string;
  required: boolean;
  default?: unknown;
  allowed?: unknown[] | null;
  description?: string | null;
}

const INTEGER = /^(?:integer|long|int\d*|uint\d*)$/i;
const REAL = /^(?:number|float\d*|double)$/i;
const TRUTH = /^(?:boolean|bool)$/i;
const JSON_LIKE = /^(?:json|list\[.*\]|array|object)$/i;

/** How a field is asked for. */
export function inputKind(type: string): "integer" | "number" | "boolean" | "date" | "json" | "text" {
  if (INTEGER.test(type)) return "integer";
  if (REAL.test(type)) return "number";
  if (TRUTH.test(type)) return "boolean";
  if (type === "date") return "date";
  return JSON_LIKE.test(type) ? "json" : "text";
}

/** What stands in a field at first. */
export function initial(value: unknown): FieldValue {
  if (typeof value === "boolean" || typeof value === "string") return value;
  if (value === null || value === undefined) return "";
  return JSON.stringify(value);
}

export type Parsed = { ok: true; value: unknown } | { ok: false; why: string } | { ok: "absent" };

/** Reads one field; an empty one that may be empty is absent. */
export function parseField(field: FieldSpec, raw: FieldValue): Parsed {
  if (typeof raw === "boolean") return { ok: true, value: raw };
  const text = raw.trim();
  const kind = inputKind(field.type);
  if (text === "") {
    return field.required && kind !== "text" ? { ok: false, why: "this field is needed" } : { ok: "absent" };
  }
  if (kind === "integer") {
    return /^[+-]?\d+$/.test(text) ? { ok: true, value: Number(text) } : { ok: false, why: "not a whole number" };
  }
  if (kind === "number") {
    const value = Number(text);
    return Number.isFinite(value) ? { ok: true, value } : { ok: false, why: "not a number" };
  }
  if (kind === "boolean") return { ok: true, value: text === "true" };
  if (kind === "json") return parseJson(text);
  return { ok: true, value: raw };
}

function parseJson(text: string): Parsed {
  try {
    return { ok: true, value: JSON.parse(text) };
  } catch {
    return { ok: false, why: "not JSON" };
  }
}

export interface Reading {
  values: Record<string, unknown>;
  errors: Record<string, string>;
}

/** Reads a whole form. */
export function parseForm(fields: readonly FieldSpec[], raw: Record<string, FieldValue>): Reading {
  const reading: Reading = { values: {}, errors: {} };
  for (const field of fields) {
    const parsed = parseField(field, raw[field.name] ?? "");
    if (parsed.ok === true) reading.values[field.name] = parsed.value;
    else if (parsed.ok === false) reading.errors[field.name] = parsed.why;
  }
  return reading;
}
