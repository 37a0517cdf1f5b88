import type { Schema } from "../../../forms/schema/shape";

/** What stands under `copy:` in a pipeline. */
export type CopyConfig = Record<string, unknown>;

/** A column of the source and what becomes of it. */
export interface ColumnPlan {
  /** Its name in the source. */
  source: string;
  /** Its type as it was read. */
  read: string;
  kept: boolean;
  name: string;
  /** The type that it is to have; as it was read if empty. */
  type: string;
}

/** Options about how a source is read, in the order of the form. */
export const SOURCE_OPTIONS = [
  "format",
  "delimiter",
  "header",
  "encoding",
  "null_values",
  "on_error",
  "max_rejects",
  "records",
  "sheet",
  "range",
  "quote",
  "escape",
  "comment",
  "skip_lines",
  "entries",
  "where",
  "unnest",
  "limit",
];

/** Options about how a sink is written, and how the work is divided. */
export const SINK_OPTIONS = [
  "write",
  "incremental",
  "state",
  "schema",
  "verify",
  "pre_sql",
  "post_sql",
  "max_bytes_per_s",
  "parallelism",
  "partition",
];

export const TYPES = [
  "boolean",
  "integer",
  "number",
  "decimal(18,2)",
  "date",
  "datetime",
  "timestamp",
  "string",
  "binary",
];

/** The config that stands in an address; nothing if it is none. */
export function readConfig(text: string | undefined): CopyConfig {
  try {
    const read: unknown = JSON.parse(text ?? "{}");
    return typeof read === "object" && read !== null && !Array.isArray(read) ? (read as CopyConfig) : {};
  } catch {
    return {};
  }
}

/** The schema of some options of a kind. */
export function only(schema: Schema, names: readonly string[]): Schema {
  const all = (schema.properties ?? {}) as Record<string, unknown>;
  const properties = Object.fromEntries(names.filter((name) => name in all).map((name) => [name, all[name]]));
  return { type: "object", properties, required: [], $defs: schema.$defs };
}

export const pick = (config: CopyConfig, names: readonly string[]): CopyConfig =>
  Object.fromEntries(Object.entries(config).filter(([name]) => names.includes(name)));

/** The config with these options and no others of their kind. */
export function withOptions(config: CopyConfig, names: readonly string[], options: CopyConfig): CopyConfig {
  const rest = Object.entries(config).filter(([name]) => !names.includes(name));
  return { ...Object.fromEntries(rest), ...options };
}

/** The config of the source alone: what the columns are before anything becomes of them. */
export const sourceOnly = (config: CopyConfig): CopyConfig => pick(config, ["from", ...SOURCE_OPTIONS]);

/** What the config makes of the columns of the source. */
export function plansOf(config: CopyConfig, columns: readonly { name: string; type: string }[]): ColumnPlan[] {
  const drop = Array.isArray(config.drop) ? config.drop : [];
  const rename = record(config.rename);
  const types = record(config.columns);
  return columns.map(({ name, type }) => ({
    source: name,
    read: type,
    kept: !drop.includes(name),
    name: typeof rename[name] === "string" ? rename[name] : name,
    type: typeof types[name] === "string" ? types[name] : "",
  }));
}

/** The config that makes this of the columns. */
export function withPlans(config: CopyConfig, plans: readonly ColumnPlan[]): CopyConfig {
  const drop = plans.filter(({ kept }) => !kept).map(({ source }) => source);
  const kept = plans.filter((plan) => plan.kept);
  const rename = Object.fromEntries(
    kept
      .filter(({ name, source }) => name.trim() !== "" && name !== source)
      .map(({ source, name }) => [source, name.trim()]),
  );
  const columns = Object.fromEntries(kept.filter(({ type }) => type !== "").map(({ source, type }) => [source, type]));
  const shape = {
    ...(drop.length > 0 && { drop }),
    ...(Object.keys(rename).length > 0 && { rename }),
    ...(Object.keys(columns).length > 0 && { columns }),
  };
  return withOptions(config, ["drop", "rename", "columns"], shape);
}

/** The place of a sink; what is said of how it is written may stand beside it. */
export function placeOf(to: unknown): string {
  const place = typeof to === "string" ? to : record(to).path;
  return typeof place === "string" ? place : "";
}

/** What is said of how a sink is written, beside its place. */
export function targetOptions(to: unknown): CopyConfig {
  const { path: _, ...options } = record(to);
  return options;
}

/** A sink as the config says it: a place alone where nothing is said of how it is written. */
export function targetOf(place: string, options: CopyConfig): unknown {
  return Object.keys(options).length > 0 ? { path: place, ...options } : place || undefined;
}

/** Kinds of connections that lead to files. */
const FILE_KINDS = ["s3", "azblob", "gcs", "sftp", "ftp", "webdav"];

/** The schema of what can be said of how a place is written; null if nothing can. `kinds`: of the connections, by their names. */
export function targetSchema(schema: Schema, place: string, kinds: ReadonlyMap<string, string>): Schema | null {
  const mark = markOf(place, kinds);
  const defs = record(schema.$defs);
  const target = followed(record(record(schema.properties).to), defs);
  const alternatives = Array.isArray(target.anyOf) ? target.anyOf.map((one) => followed(record(one), defs)) : [];
  const found = alternatives.find((one) => mark !== null && mark in record(one.properties));
  if (!found) return null;
  const { path: _, ...properties } = record(found.properties);
  return { ...found, properties, required: [], $defs: schema.$defs };
}

/** A property that the schema of a place's options has. */
function markOf(place: string, kinds: ReadonlyMap<string, string>): string | null {
  if (place === "") return null;
  const connection = /^([a-z_][a-z0-9_-]*):(?!\/\/)/i.exec(place)?.[1];
  if (connection === undefined) return "delimiter";
  const kind = kinds.get(connection) ?? "";
  if (kind === "rest") return "method";
  return FILE_KINDS.includes(kind) ? "delimiter" : null;
}

function followed(schema: Record<string, unknown>, defs: Record<string, unknown>): Record<string, unknown> {
  const name = typeof schema.$ref === "string" ? schema.$ref.split("/").at(-1) : undefined;
  return name === undefined ? schema : record(defs[name]);
}

/** A name for the pipeline, after what is written. */
export function nameOf(config: CopyConfig): string {
  const to = placeOf(config.to) || "copy";
  const place = to.replace(/^data:/, "");
  const last = place.split(/[/:]/).at(-1) ?? "";
  // A table's schema stands before its name, a file's ending after it.
  const table = /^\w+:[^/]*$/.test(place) ? last.split(".").at(-1) : last.split(".")[0];
  const word = (table ?? "")
    .toLowerCase()
    .replaceAll(/[^a-z0-9_]+/g, "_")
    .replace(/^[^a-z]+|_+$/g, "");
  return `copy_${word || "table"}`;
}

const record = (value: unknown): Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
