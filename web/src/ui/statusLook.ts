import IconActivity from "@tabler/icons-react/dist/esm/icons/IconActivity.mjs";
import IconAlertTriangle from "@tabler/icons-react/dist/esm/icons/IconAlertTriangle.mjs";
import IconBan from "@tabler/icons-react/dist/esm/icons/IconBan.mjs";
import IconCircleCheck from "@tabler/icons-react/dist/esm/icons/IconCircleCheck.mjs";
import IconCircleDashed from "@tabler/icons-react/dist/esm/icons/IconCircleDashed.mjs";
import IconCircleX from "@tabler/icons-react/dist/esm/icons/IconCircleX.mjs";
import IconClock from "@tabler/icons-react/dist/esm/icons/IconClock.mjs";
import IconLoader2 from "@tabler/icons-react/dist/esm/icons/IconLoader2.mjs";
import IconRecycle from "@tabler/icons-react/dist/esm/icons/IconRecycle.mjs";
import type { Icon } from "@tabler/icons-react";

export type Tone = "ok" | "bad" | "run" | "warn" | "idle";

export interface StatusLook {
  tone: Tone;
  word: string;
  icon: Icon;
  moving?: boolean;
}

const LOOKS: Record<string, StatusLook> = {
  succeeded: { tone: "ok", word: "succeeded", icon: IconCircleCheck },
  cached: { tone: "ok", word: "reused", icon: IconRecycle },
  failed: { tone: "bad", word: "failed", icon: IconCircleX },
  timed_out: { tone: "bad", word: "timed out", icon: IconCircleX },
  approved: { tone: "ok", word: "approved", icon: IconCircleCheck },
  void: { tone: "warn", word: "void", icon: IconAlertTriangle },
  withdrawn: { tone: "idle", word: "withdrawn", icon: IconBan },
  rejected: { tone: "bad", word: "rejected", icon: IconBan },
  lost: { tone: "bad", word: "lost", icon: IconCircleX },
  running: { tone: "run", word: "running", icon: IconLoader2, moving: true },
  cancelling: { tone: "warn", word: "cancelling", icon: IconLoader2, moving: true },
  retrying: { tone: "warn", word: "retrying", icon: IconClock },
  queued: { tone: "idle", word: "queued", icon: IconClock },
  waiting: { tone: "idle", word: "waiting", icon: IconClock },
  ready: { tone: "ok", word: "ready", icon: IconCircleCheck },
  pending: { tone: "idle", word: "pending", icon: IconCircleDashed },
  waiting_on_dependency: { tone: "warn", word: "waiting for others", icon: IconClock },
  stale: { tone: "warn", word: "stale", icon: IconAlertTriangle },
  overdue: { tone: "bad", word: "overdue", icon: IconAlertTriangle },
  paused: { tone: "idle", word: "paused", icon: IconBan },
  over: { tone: "idle", word: "no further firing", icon: IconCircleDashed },
  skipped: { tone: "idle", word: "skipped", icon: IconCircleDashed },
  cancelled: { tone: "idle", word: "cancelled", icon: IconBan },
  healthy: { tone: "ok", word: "healthy", icon: IconCircleCheck },
  loading: { tone: "run", word: "loading", icon: IconLoader2, moving: true },
  degraded: { tone: "warn", word: "degraded", icon: IconAlertTriangle },
  unhealthy: { tone: "bad", word: "unhealthy", icon: IconCircleX },
  idle: { tone: "idle", word: "idle", icon: IconCircleDashed },
  drifted: { tone: "bad", word: "drifted", icon: IconAlertTriangle },
  stable: { tone: "ok", word: "stable", icon: IconCircleCheck },
  recovering: { tone: "warn", word: "recovering", icon: IconActivity },
  firing: { tone: "bad", word: "firing", icon: IconActivity },
  ok: { tone: "ok", word: "ok", icon: IconCircleCheck },
  resolved: { tone: "ok", word: "resolved", icon: IconCircleCheck },
  delivered: { tone: "ok", word: "delivered", icon: IconCircleCheck },
  dead: { tone: "bad", word: "dead letter", icon: IconCircleX },
  started: { tone: "ok", word: "started a run", icon: IconCircleCheck },
  held: { tone: "idle", word: "held", icon: IconClock },
  filtered: { tone: "idle", word: "filtered out", icon: IconCircleDashed },
  listening: { tone: "ok", word: "listening", icon: IconActivity },
  on: { tone: "ok", word: "active", icon: IconCircleCheck },
  off: { tone: "idle", word: "off", icon: IconBan },
  never: { tone: "idle", word: "never ran", icon: IconCircleDashed },
};

const ALIASES: Record<string, string> = {
  success: "succeeded",
  finished: "succeeded",
  reused: "cached",
  killed: "cancelled",
  canceled: "cancelled",
  in_progress: "running",
  error: "failed",
  scheduled: "queued",
  inactive: "ok",
  normal: "ok",
  ready_to_run: "ready",
  serving: "healthy",
};

/** The one table of colours, icons and words for states; an unknown word is shown as it is. */
export function statusLook(status: string): StatusLook {
  const word = status.toLowerCase();
  return LOOKS[ALIASES[word] ?? word] ?? { tone: "idle", word: word.replaceAll("_", " "), icon: IconCircleDashed };
}
