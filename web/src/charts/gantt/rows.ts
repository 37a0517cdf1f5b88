import type { Bar, GanttStep } from "./bars";

export interface GanttEntry {
  step: GanttStep;
  bars: Bar[];
}

/** A line of the timeline: a step, an item below its step, or what asks for further items. */
export type GanttLine = ({ kind: "step" | "item" } & GanttEntry) | { kind: "more"; step: string };

/** What is shown below a step that is open. */
export interface GanttItems {
  /** The step. */
  of: string;
  items: GanttStep[];
  /** Asks for further items; absent if there are none. */
  more?: () => void;
  loading: boolean;
}

/** The steps with the items of the one that is open below it. */
export function lines(steps: readonly GanttEntry[], below: readonly GanttEntry[], open?: GanttItems): GanttLine[] {
  return steps.flatMap((entry): GanttLine[] => {
    const line: GanttLine = { kind: "step", ...entry };
    if (entry.step.id !== open?.of) return [line];
    const items = below.map((item): GanttLine => ({ kind: "item", ...item }));
    return [line, ...items, ...(open.more || open.loading ? [{ kind: "more" as const, step: open.of }] : [])];
  });
}
