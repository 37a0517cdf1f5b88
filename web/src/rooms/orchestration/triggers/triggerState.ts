import type { TriggerStatusView } from "../../../api/types.gen";

export type TriggerState = "paused" | "overdue" | "on" | "over";

/** How a trigger is, in one word. */
export function triggerState(trigger: TriggerStatusView): TriggerState {
  if (trigger.paused) return "paused";
  if (trigger.overdue_since) return "overdue";
  return trigger.next_at ? "on" : "over";
}
