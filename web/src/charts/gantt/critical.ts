export interface GanttStep {
  id: string;
  status: string;
  needs: string[];
  /** Milliseconds since 1970. */
  ready: number | null;
  start: number | null;
  end: number | null;
}

/** The chain of steps that set the run's length: back from the last to end, each time to the need that ended last. */
export function criticalPath(steps: readonly GanttStep[]): Set<string> {
  const byId = new Map(steps.map((step) => [step.id, step]));
  const ended = (step: GanttStep) => step.end ?? step.start ?? -Infinity;
  const last = (some: readonly GanttStep[]) =>
    some.reduce<GanttStep | undefined>((best, step) => (!best || ended(step) > ended(best) ? step : best), undefined);
  const path = new Set<string>();
  let at = last(steps.filter((step) => step.start !== null));
  while (at && !path.has(at.id)) {
    path.add(at.id);
    at = last(at.needs.flatMap((id) => byId.get(id) ?? []).filter((step) => step.start !== null));
  }
  return path;
}
