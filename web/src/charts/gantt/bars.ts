export interface GanttAttempt {
  number: number;
  status: string;
  /** Milliseconds since 1970. */
  start: number;
  end: number | null;
}

export interface GanttStep {
  id: string;
  /** What it is called; its id if absent. */
  name?: string;
  status: string;
  /** When its needs were met, milliseconds since 1970. */
  ready: number | null;
  start: number | null;
  end: number | null;
  attempts: GanttAttempt[];
  /** Whether it set the length of the run. */
  critical: boolean;
  /** How many times it is done; its rows can be shown below it. */
  items?: number;
}

/** What a step did during a time: waited for a slot, worked, waited for something outside, or for its next attempt. */
export interface Bar {
  kind: "queue" | "work" | "wait" | "pause";
  status: string;
  from: number;
  to: number;
  attempt: number | null;
}

/** The bars of a step, one after the other. */
export function barsOf(step: GanttStep, now: number): Bar[] {
  const bars: Bar[] = [];
  const add = (bar: Bar) => bar.to > bar.from && bars.push(bar);
  const first = step.attempts[0]?.start ?? step.start;
  if (step.ready !== null && step.end === null && first === null) {
    return [{ kind: "queue", status: "queued", from: step.ready, to: Math.max(now, step.ready), attempt: null }];
  }
  if (step.ready !== null && first !== null) {
    add({ kind: "queue", status: "queued", from: step.ready, to: first, attempt: null });
  }
  let before: number | null = null;
  for (const { number, status, start, end } of step.attempts) {
    if (before !== null) add({ kind: "pause", status: "retrying", from: before, to: start, attempt: null });
    const kind = status === "waiting" ? "wait" : "work";
    // A bar of a moment is still a bar.
    bars.push({ kind, status, from: start, to: Math.max(end ?? now, start), attempt: number });
    before = end;
  }
  if (step.status === "retrying" && before !== null) {
    add({ kind: "pause", status: "retrying", from: before, to: now, attempt: null });
  }
  return bars;
}

/** How long the bars of some kinds are together, milliseconds. */
export function total(bars: readonly Bar[], ...kinds: Bar["kind"][]): number {
  return bars.filter((bar) => kinds.includes(bar.kind)).reduce((sum, bar) => sum + bar.to - bar.from, 0);
}

/** From the first bar to the last; at least a millisecond. */
export function range(bars: readonly Bar[]): { from: number; to: number } {
  const from = bars.reduce((least, bar) => Math.min(least, bar.from), Infinity);
  const to = bars.reduce((most, bar) => Math.max(most, bar.to), -Infinity);
  return Number.isFinite(from) ? { from, to: Math.max(to, from + 1) } : { from: 0, to: 1 };
}
