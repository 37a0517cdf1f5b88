export const CURVE_AXES = ["step", "relative", "wall"] as const;
export type CurveAxis = (typeof CURVE_AXES)[number];

/** How curves are drawn. */
export interface CurveSearch {
  /** Metrics with curves, with commas. */
  metrics?: string;
  smoothing?: number;
  /** Logarithmic axes, of the values and of the steps or times. */
  log?: boolean;
  logx?: boolean;
  x?: CurveAxis;
  /** The parameter whose values are drawn as one line each, with a band from least to most. */
  group?: string;
}

export const RUN_TABS = ["overview", "curves", "images", "system", "artifacts", "traces"] as const;
export type RunTab = (typeof RUN_TABS)[number];
export interface TrackedRunSearch extends CurveSearch {
  tab?: RunTab;
  /** The file that is shown, relative to the run's files. */
  file?: string;
  /** The image that is shown of each step. */
  key?: string;
}

export interface FileSearch {
  /** The file that is shown. */
  file?: string;
}

export const COMPARE_VIEWS = ["curves", "parallel", "scatter", "differences", "images"] as const;
export type CompareView = (typeof COMPARE_VIEWS)[number];

export interface ExperimentSearch extends CurveSearch {
  /** Which runs, as the server filters. */
  filter?: string;
  /** Chosen columns, `metrics.auc` or `params.depth`, with commas. */
  columns?: string;
  /** As the server sorts: `-metrics.auc` is descending; several with commas. */
  sort?: string;
  /** What the table gathers runs by, `params.depth`. */
  by?: string;
  /** Selected runs, with commas. */
  runs?: string;
  view?: CompareView;
  /** Axes of the parallel coordinates, with commas. */
  axes?: string;
  /** Fields of the scatter plot. */
  across?: string;
  up?: string;
  shade?: string;
  /** Parameters that are the same everywhere too. */
  same?: boolean;
  /** The image that is compared, and its step. */
  image?: string;
  step?: number;
}

export const DATASET_TABS = ["sample", "schema", "profile", "versions", "labels", "lineage"] as const;
export type DatasetTab = (typeof DATASET_TABS)[number];
export interface DatasetSearch {
  tab?: DatasetTab;
  version?: number;
  /** A condition on the columns of the sample, in SQL. */
  where?: string;
  /** The version whose columns are compared with those shown. */
  before?: number;
  /** The job or dataset of another system that lineage shows. */
  node?: string;
}

export const MODEL_TABS = ["overview", "card", "versions", "promotions", "lineage", "files"] as const;
export type ModelTab = (typeof MODEL_TABS)[number];
export interface ModelSearch {
  tab?: ModelTab;
  version?: number;
  /** Versions that are compared, with commas. */
  compare?: string;
  /** Lines of the comparison that are the same everywhere too. */
  same?: boolean;
  /** The file that is shown. */
  file?: string;
  /** The job or dataset of another system that lineage shows. */
  node?: string;
}

export interface DataSearch {
  sql?: string;
}

type Raw = Record<string, unknown>;

const text = (value: unknown) => (value === undefined || value === null || value === "" ? undefined : String(value));
const positive = (value: unknown) => (Number(value) > 0 ? Number(value) : undefined);
const yes = (value: unknown) => (value === true || value === "true" ? true : undefined);
const word = <T extends string>(value: unknown, words: readonly T[]) => words.find((entry) => entry === value);

export const curveSearch = (raw: Raw): CurveSearch => ({
  metrics: text(raw.metrics),
  smoothing: positive(raw.smoothing),
  log: yes(raw.log),
  logx: yes(raw.logx),
  // Addresses of earlier versions say `time`.
  x: raw.x === "time" ? "wall" : word(raw.x, CURVE_AXES),
  group: text(raw.group),
});

export const trackedRunSearch = (raw: Raw): TrackedRunSearch => ({
  ...curveSearch(raw),
  // A link to a file needs no tab.
  tab: word(raw.tab, RUN_TABS) ?? (text(raw.file) ? "artifacts" : undefined),
  file: text(raw.file),
  key: text(raw.key),
});

export const fileSearch = (raw: Raw): FileSearch => ({ file: text(raw.file) });

export const experimentSearch = (raw: Raw): ExperimentSearch => ({
  ...curveSearch(raw),
  filter: text(raw.filter),
  columns: text(raw.columns),
  sort: text(raw.sort),
  by: text(raw.by),
  runs: text(raw.runs),
  view: word(raw.view, COMPARE_VIEWS),
  axes: text(raw.axes),
  across: text(raw.across),
  up: text(raw.up),
  shade: text(raw.shade),
  same: yes(raw.same),
  image: text(raw.image),
  step: raw.step === undefined || !Number.isFinite(Number(raw.step)) ? undefined : Number(raw.step),
});

export interface TracesSearch {
  /** Of which experiment; all of them if absent. */
  experiment?: string;
  /** Which traces, as the server filters. */
  filter?: string;
  /** As the server sorts: `-execution_time` is descending. */
  sort?: string;
}

export const tracesSearch = (raw: Raw): TracesSearch => ({
  experiment: text(raw.experiment),
  filter: text(raw.filter),
  sort: text(raw.sort),
});

export const SPAN_TABS = ["content", "attributes", "events"] as const;
export type SpanTab = (typeof SPAN_TABS)[number];
export interface TraceSearch {
  /** The span that is shown. */
  span?: string;
  tab?: SpanTab;
  /** Only spans whose name or type has this in it, and what they lie in. */
  find?: string;
}

export const traceSearch = (raw: Raw): TraceSearch => ({
  span: text(raw.span),
  tab: word(raw.tab, SPAN_TABS),
  find: text(raw.find),
});

export interface PromptSearch {
  version?: number;
  /** The version that it is compared with. */
  against?: number;
}

export const promptSearch = (raw: Raw): PromptSearch => ({
  version: positive(raw.version),
  against: positive(raw.against),
});

export interface WebhookSearch {
  /** The webhook whose deliveries are shown. */
  webhook?: string;
}

export const webhookSearch = (raw: Raw): WebhookSearch => ({ webhook: text(raw.webhook) });

export interface EvaluationSearch {
  /** The record that is shown. */
  record?: string;
}

export const evaluationSearch = (raw: Raw): EvaluationSearch => ({ record: text(raw.record) });

export const datasetSearch = (raw: Raw): DatasetSearch => ({
  tab: word(raw.tab, DATASET_TABS),
  version: positive(raw.version),
  where: text(raw.where),
  before: positive(raw.before),
  node: text(raw.node),
});

export const modelSearch = (raw: Raw): ModelSearch => ({
  tab: word(raw.tab, MODEL_TABS),
  version: positive(raw.version),
  compare: text(raw.compare),
  same: yes(raw.same),
  file: text(raw.file),
  node: text(raw.node),
});

export const dataSearch = (raw: Raw): DataSearch => ({ sql: text(raw.sql) });

/** The words of a list that stands in the address. */
export const words = (list: string | undefined): string[] => (list ? list.split(",").filter(Boolean) : []);

/** A list as it stands in the address. */
export const list = (entries: readonly string[]): string | undefined => entries.join(",") || undefined;
