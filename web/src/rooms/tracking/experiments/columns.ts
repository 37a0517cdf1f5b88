import type { TrackedRun } from "../../../api/types.gen";

export type Family = "metrics" | "params" | "tags";

export interface RunColumn {
  key: string;
  name: string;
  family: Family;
}

/** The names of what runs logged. */
export interface RunKeys {
  metric_keys: readonly string[];
  param_keys: readonly string[];
}

/** Tags that say where a run comes from; the server does not list the others. */
const TAGS = ["tags.mlflow.user", "tags.mlflow.source.name", "tags.mlflow.source.git.commit"];
const FIRST_METRICS = 5;
const FIRST_PARAMS = 4;

/** The column of a key, `metrics.auc`; null if it is none. */
export function columnOf(key: string): RunColumn | null {
  const [, family, name] = /^(metrics|params|tags)\.(.+)$/.exec(key) ?? [];
  return family && name ? { key, name, family: family as Family } : null;
}

/** The keys of every column that an experiment could show. */
export function allKeys({ metric_keys, param_keys }: RunKeys): string[] {
  return [...metric_keys.map((name) => `metrics.${name}`), ...param_keys.map((name) => `params.${name}`), ...TAGS];
}

/** The chosen columns in the order of their choice, or the first few if none were chosen. */
export function shownColumns(keys: RunKeys, chosen: readonly string[]): RunColumn[] {
  const shown = chosen.length > 0 ? chosen : firstKeys(keys);
  return shown.map(columnOf).filter((column) => column !== null);
}

function firstKeys({ metric_keys, param_keys }: RunKeys): string[] {
  return [
    // What the machine did says little of the run.
    ...metric_keys
      .filter((name) => !name.startsWith("system/"))
      .slice(0, FIRST_METRICS)
      .map((name) => `metrics.${name}`),
    ...param_keys.slice(0, FIRST_PARAMS).map((name) => `params.${name}`),
  ];
}

export function cellOf(run: TrackedRun, column: RunColumn): string | number | undefined {
  return run[column.family][column.name];
}
