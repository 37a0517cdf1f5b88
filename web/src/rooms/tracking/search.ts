export interface ExperimentSearch {
  /** Chosen columns, `metrics.auc` or `params.depth`, with commas. */
  columns?: string;
  /** As the server sorts: `-metrics.auc` is descending. */
  sort?: string;
  /** Selected runs, with commas. */
  runs?: string;
  metrics?: string;
  smoothing?: number;
  log?: boolean;
  x?: "step" | "time";
  diff?: boolean;
}

export const DATASET_TABS = ["sample", "schema", "profile", "versions", "lineage"] as const;
export type DatasetTab = (typeof DATASET_TABS)[number];
export interface DatasetSearch {
  tab?: DatasetTab;
  version?: number;
}

export const MODEL_TABS = ["overview", "versions", "lineage", "files"] as const;
export type ModelTab = (typeof MODEL_TABS)[number];
export interface ModelSearch {
  tab?: ModelTab;
  version?: number;
}

export interface DataSearch {
  sql?: string;
}

type Raw = Record<string, unknown>;

const text = (value: unknown) => (value === undefined || value === null || value === "" ? undefined : String(value));
const positive = (value: unknown) => (Number(value) > 0 ? Number(value) : undefined);
const yes = (value: unknown) => (value === true || value === "true" ? true : undefined);
const word = <T extends string>(value: unknown, words: readonly T[]) => words.find((entry) => entry === value);

export const experimentSearch = (raw: Raw): ExperimentSearch => ({
  columns: text(raw.columns),
  sort: text(raw.sort),
  runs: text(raw.runs),
  metrics: text(raw.metrics),
  smoothing: positive(raw.smoothing),
  log: yes(raw.log),
  x: word(raw.x, ["step", "time"] as const),
  diff: yes(raw.diff),
});

export const datasetSearch = (raw: Raw): DatasetSearch => ({
  tab: word(raw.tab, DATASET_TABS),
  version: positive(raw.version),
});

export const modelSearch = (raw: Raw): ModelSearch => ({
  tab: word(raw.tab, MODEL_TABS),
  version: positive(raw.version),
});

export const dataSearch = (raw: Raw): DataSearch => ({ sql: text(raw.sql) });

/** The words of a list that stands in the address. */
export const words = (list: string | undefined): string[] => (list ? list.split(",").filter(Boolean) : []);
