import type { StepView } from "../../../api/types.gen";
import type { GanttStep } from "../../../charts/gantt/critical";
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

export function ganttOf(steps: readonly StepView[]): GanttStep[] {
  return steps.map((step) => ({
    id: step.id,
    status: step.status,
    needs: step.needs,
    ready: instant(step.ready_at),
    start: instant(step.started_at),
    end: instant(step.ended_at),
  }));
}
