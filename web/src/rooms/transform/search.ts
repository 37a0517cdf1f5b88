export const SQL_VIEWS = ["rows", "chart"] as const;
export type SqlView = (typeof SQL_VIEWS)[number];

export const CHARTS = ["line", "bar", "scatter"] as const;
export type ChartKind = (typeof CHARTS)[number];

export interface SqlSearch {
  /** The query that was run. */
  q?: string;
  /** Its bound values as a JSON list. */
  params?: string;
  /** Rows at most, if not as many as usual. */
  rows?: number;
  /** Seconds that it gets, if not as many as usual. */
  seconds?: number;
  view?: SqlView;
  chart?: ChartKind;
  /** Columns across and up, the latter with commas. */
  x?: string;
  y?: string;
  /** The column whose values make series of their own. */
  by?: string;
}

type Raw = Record<string, unknown>;

const text = (value: unknown) => (value === undefined || value === null || value === "" ? undefined : String(value));
const positive = (value: unknown) => (Number(value) > 0 ? Number(value) : undefined);
const word = <T extends string>(value: unknown, words: readonly T[]) => words.find((entry) => entry === value);

export const sqlSearch = (raw: Raw): SqlSearch => ({
  q: text(raw.q),
  params: Array.isArray(raw.params) ? JSON.stringify(raw.params) : text(raw.params),
  rows: positive(raw.rows),
  seconds: positive(raw.seconds),
  view: word(raw.view, SQL_VIEWS),
  chart: word(raw.chart, CHARTS),
  x: text(raw.x),
  y: text(raw.y),
  by: text(raw.by),
});

export const FLOW_VIEWS = ["canvas", "list", "yaml"] as const;
export type FlowViewKind = (typeof FLOW_VIEWS)[number];

export interface FlowSearch {
  view?: FlowViewKind;
  /** The node that is shown. */
  node?: string;
}

export const flowSearch = (raw: Raw): FlowSearch => ({ view: word(raw.view, FLOW_VIEWS), node: text(raw.node) });
