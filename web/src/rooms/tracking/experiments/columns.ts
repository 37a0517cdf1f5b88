import type { TrackedRun, TrackedRunPage } from "../../../api/types.gen";

export interface RunColumn {
  key: string;
  name: string;
  family: "metric" | "param";
}

/** Every column that an experiment could show. */
export function allColumns(page: TrackedRunPage): RunColumn[] {
  return [
    ...page.metric_keys.map((name): RunColumn => ({ key: `metrics.${name}`, name, family: "metric" })),
    ...page.param_keys.map((name): RunColumn => ({ key: `params.${name}`, name, family: "param" })),
  ];
}

/** The chosen columns, or the first few if none were chosen. */
export function shownColumns(page: TrackedRunPage, chosen: string[]): RunColumn[] {
  const all = allColumns(page);
  if (chosen.length > 0) return all.filter((column) => chosen.includes(column.key));
  return [
    ...all.filter((column) => column.family === "metric").slice(0, 5),
    ...all.filter((column) => column.family === "param").slice(0, 4),
  ];
}

export function cellOf(run: TrackedRun, column: RunColumn): string | number | undefined {
  return column.family === "metric" ? run.metrics[column.name] : run.params[column.name];
}

/** The next sort of a column: descending, ascending, none. */
export function nextSort(sort: string | undefined, key: string): string | undefined {
  if (sort === `-${key}`) return key;
  return sort === key ? undefined : `-${key}`;
}

/** Parameters whose values are not the same in all runs; all of them if `every`. */
export function paramDiff(
  runs: readonly TrackedRun[],
  every: boolean,
): { name: string; values: (string | undefined)[] }[] {
  const names = [...new Set(runs.flatMap((run) => Object.keys(run.params)))].toSorted();
  return names
    .map((name) => ({ name, values: runs.map((run) => run.params[name]) }))
    .filter(({ values }) => every || new Set(values).size > 1);
}
