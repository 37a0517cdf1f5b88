import type { RunSummary } from "../../api/types.gen";

/** Of each pipeline the newest ended run, if it failed; `runs` are newest first. */
export function unrepaired(runs: readonly RunSummary[]): RunSummary[] {
  const seen = new Set<string>();
  return runs.filter((run) => {
    if (seen.has(run.pipeline) || run.ended_at === null) return false;
    seen.add(run.pipeline);
    return run.status === "failed";
  });
}
