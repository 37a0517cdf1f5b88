import type { StepView } from "../../../api/types.gen";
import type { GanttStep } from "../../../charts/gantt/bars";
import type { GraphEdge, GraphNode } from "../../../charts/graph/layout";
import { instant } from "../../../format/time";

/** The step to open first: what failed, else what runs, else an evaluation, else the last. */
export function interestingStep(steps: readonly StepView[]): string | undefined {
  const by = (status: string) => steps.find((step) => step.status === status);
  const found =
    by("failed") ??
    by("timed_out") ??
    by("rejected") ??
    by("waiting") ??
    by("retrying") ??
    by("running") ??
    steps.find((step) => step.kind === "evaluate") ??
    steps.at(-1);
  return found?.id;
}

export function nodesOf(steps: readonly StepView[]): GraphNode[] {
  return steps.map((step) => ({ id: step.id, name: step.id, kind: step.kind, status: step.status }));
}

export function edgesOf(steps: readonly StepView[]): GraphEdge[] {
  return steps.flatMap((step) => step.needs.map((need) => ({ from: need, to: step.id })));
}

/** The steps for the timeline; which of them set the run's length, the server says. */
export function ganttOf(steps: readonly StepView[], critical: readonly string[]): GanttStep[] {
  const path = new Set(critical);
  return steps.map((step) => ({
    id: step.id,
    status: step.status,
    ready: instant(step.ready_at),
    start: instant(step.started_at),
    end: instant(step.ended_at),
    attempts: step.attempts.flatMap(({ attempt, status, started_at, ended_at }) => {
      const start = instant(started_at);
      return start === null ? [] : [{ number: attempt, status, start, end: instant(ended_at) }];
    }),
    critical: path.has(step.id),
  }));
}
