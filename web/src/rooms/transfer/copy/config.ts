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

/** Options about how a sink is written. */
export const SINK_OPTIONS = [
  "write",
  "incremental",
  "schema",
  "verify",
  "pre_sql",
  "post_sql",
  "max_bytes_per_s",
  "parallelism",
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

/** A name for the pipeline, after what is written. */
export function nameOf(config: CopyConfig): string {
  const to = typeof config.to === "string" ? config.to : "copy";
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
