import type { TrackedRun } from "../../../api/types.gen";
import { number } from "../../../format/number";

export interface Difference {
  key: string;
  name: string;
  what: "parameter" | "metric" | "tag" | "run";
  values: (string | undefined)[];
}

/** Tags that only software reads. */
const NOISE = /^mlflow\.(log-model|loggedArtifacts|note\.content|runName)/;

/** What runs have that is not the same in all of them; everything if `same`. Metrics last: they nearly always differ. */
export function differences(runs: readonly TrackedRun[], same: boolean): Difference[] {
  const rows = [
    ...family(runs, "parameter", (run) => run.params),
    ...family(runs, "tag", (run) => run.tags).filter(({ name }) => !NOISE.test(name)),
    { key: "status", name: "status", what: "run" as const, values: runs.map((run) => run.status.toLowerCase()) },
    ...family(runs, "metric", (run) =>
      Object.fromEntries(Object.entries(run.metrics).map(([name, value]) => [name, number(value)])),
    ),
  ];
  return rows.filter(({ values }) => same || new Set(values).size > 1);
}

function family(
  runs: readonly TrackedRun[],
  what: Difference["what"],
  values: (run: TrackedRun) => Record<string, string>,
): Difference[] {
  const all = runs.map(values);
  const names = [...new Set(all.flatMap((given) => Object.keys(given)))].toSorted();
  return names.map((name) => ({ key: `${what}.${name}`, name, what, values: all.map((given) => given[name]) }));
}
