import type { ChartKind, SqlSearch } from "../search";

interface Column {
  name: string;
  type: string;
}

export interface ChartFields {
  kind: ChartKind;
  x: string;
  y: string[];
  by?: string;
}

const NUMERIC = /^(?:u?int|float|decimal)/i;
const TIME = /^(?:date|timestamp)/i;

export const isNumeric = (column: Column) => NUMERIC.test(column.type);
export const isTime = (column: Column) => TIME.test(column.type);

/** What a chart shows: what the address says as far as there are such columns, else what the types suggest. */
export function chartFields(columns: readonly Column[], asked: SqlSearch): ChartFields | null {
  const named = (name: string | undefined) => columns.find((column) => column.name === name);
  const numbers = columns.filter(isNumeric);
  const x = named(asked.x) ?? columns.find(isTime) ?? columns.find((column) => !isNumeric(column)) ?? numbers[0];
  if (!x) return null;
  const chosen = (asked.y ?? "").split(",").filter((name) => named(name));
  const first = numbers.find((column) => column.name !== x.name) ?? numbers[0];
  const y = chosen.length > 0 ? chosen : first ? [first.name] : [];
  if (y.length === 0) return null;
  const usual: ChartKind = isTime(x) ? "line" : isNumeric(x) ? "scatter" : "bar";
  const by = named(asked.by)?.name;
  return { kind: asked.chart ?? usual, x: x.name, y, by };
}
