import type { ItemsView, ItemView, StepView } from "../../../api/types.gen";
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
  return steps.map((step) => ({
    id: step.id,
    name: step.id,
    kind: step.kind,
    status: step.status,
    items: step.items ? statesOf(step.items) : undefined,
  }));
}

/** States of items, what needs somebody first; those that have not begun last. */
const ORDER = [
  "failed",
  "timed_out",
  "rejected",
  "lost",
  "cancelled",
  "running",
  "retrying",
  "waiting",
  "ready",
  "queued",
];

const place = (state: string) => (ORDER.includes(state) ? ORDER.indexOf(state) : ORDER.length);

/** How many items are in which state, what needs somebody first. */
export function statesOf({ counts, not_begun }: ItemsView): { state: string; count: number }[] {
  const states = Object.entries(counts)
    .map(([state, count]) => ({ state, count }))
    .toSorted((one, other) => place(one.state) - place(other.state));
  return not_begun > 0 ? [...states, { state: "pending", count: not_begun }] : states;
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
    attempts: step.items
      ? lasted(step)
      : step.attempts.flatMap(({ attempt, status, started_at, ended_at }) => {
          const start = instant(started_at);
          return start === null ? [] : [{ number: attempt, status, start, end: instant(ended_at) }];
        }),
    critical: path.has(step.id),
    items: step.items?.total,
  }));
}

/** The items of a step for the timeline. */
export function ganttOfItems(items: readonly ItemView[]): GanttStep[] {
  return items.map((item) => ({
    id: item.step,
    // `model=forest, depth=8` is `forest, 8`: there is little room, and the names are the same for all.
    name: item.label.replaceAll(/\b\w+=/g, "") || item.step,
    status: item.status,
    ready: null,
    start: instant(item.started_at),
    end: instant(item.ended_at),
    attempts: lasted(item),
    critical: false,
  }));
}

/** From the beginning to the end, as if it had been one attempt: what all items of a step took, or all attempts of an item. */
function lasted(what: { status: string; started_at: string | null; ended_at: string | null }): GanttStep["attempts"] {
  const start = instant(what.started_at);
  return start === null ? [] : [{ number: 1, status: what.status, start, end: instant(what.ended_at) }];
}
