import type { TriggerStatusView } from "../../../api/types.gen";

export type TriggerState = "paused" | "overdue" | "on" | "listening" | "over";

const SCHEDULES = new Set(["cron", "every"]);

/** What makes a trigger fire: the clock, windows of time, or something that happens elsewhere. */
export type TriggerGroup = "schedule" | "window" | "event";

export function triggerGroup({ kind }: { kind: string }): TriggerGroup {
  if (kind === "window") return "window";
  return SCHEDULES.has(kind) ? "schedule" : "event";
}

/** How a trigger is, in one word. */
export function triggerState(trigger: TriggerStatusView): TriggerState {
  if (trigger.paused) return "paused";
  if (trigger.overdue_since) return "overdue";
  if (triggerGroup(trigger) === "event") return "listening";
  return trigger.next_at ? "on" : "over";
}
