export interface JsonTable {
  columns: { name: string }[];
  rows: unknown[][];
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The table that a document is: `{"columns", "data"}` as `mlflow.log_table` and pandas (`split`) write it, or a list of objects; else null. */
export function jsonTable(value: unknown): JsonTable | null {
  if (isRecord(value) && Array.isArray(value.columns) && Array.isArray(value.data)) {
    const { columns, data } = value;
    if (!data.every((row) => Array.isArray(row))) return null;
    return { columns: columns.map((name) => ({ name: String(name) })), rows: data as unknown[][] };
  }
  if (!Array.isArray(value) || value.length === 0 || !value.every(isRecord)) return null;
  const names = [...new Set(value.flatMap((row) => Object.keys(row)))];
  return { columns: names.map((name) => ({ name })), rows: value.map((row) => names.map((name) => row[name] ?? null)) };
}
