import type { TriggerStatusView } from "../../api/types.gen";
import { plural } from "../../format/number";
import { plainTimes } from "../../format/time";

/** A trigger that somebody should look at. */
export interface Trouble {
  pipeline: string;
  trigger: string;
  status: "overdue" | "failed" | "stale";
  words: string;
}

/** Windows in these states stay so until somebody decides. */
const UNDECIDED = ["failed", "stale"] as const;

/** Triggers that should have fired, and windows that failed or whose input has changed; what is paused was paused by somebody. */
export function troubles(triggers: readonly TriggerStatusView[]): Trouble[] {
  return triggers
    .filter(({ paused }) => !paused)
    .flatMap(({ pipeline, trigger, overdue_since, why, windows }) => {
      const found: Trouble[] = [];
      if (overdue_since)
        found.push({ pipeline, trigger, status: "overdue", words: plainTimes(why ?? "should have fired") });
      for (const status of UNDECIDED) {
        const count = windows.find(({ state }) => state === status)?.windows ?? 0;
        if (count > 0) found.push({ pipeline, trigger, status, words: plural(count, "window") });
      }
      return found;
    });
}
