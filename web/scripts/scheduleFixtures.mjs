// @ts-check
// Made-up triggers and windows, for pictures and trials of the UI without a server.

/** @import * as api from "../src/api/types.gen" */

/** @param {number} hours */
const inHours = (hours) => new Date(Date.now() + hours * 3_600_000).toISOString();

/** @param {Partial<api.TriggerStatusView>} change @returns {api.TriggerStatusView} */
const trigger = (change) => ({
  pipeline: "flights",
  trigger: "daily",
  kind: "cron",
  rule: "0 3 * * *",
  description: "At 03:00.",
  timezone: "Europe/Berlin",
  paused: false,
  next_at: inHours(7.2),
  upcoming: [],
  last: null,
  overdue_since: null,
  why: null,
  windows: [],
  ...change,
});

const WINDOWS = trigger({
  pipeline: "nightly",
  trigger: "days",
  kind: "window",
  rule: "1d",
  description: "once for each 1d from 2026-02-20",
  windows: [
    { state: "failed", windows: 1 },
    { state: "succeeded", windows: 31 },
    { state: "waiting", windows: 4 },
  ],
});

export const TRIGGERS = [
  trigger({
    rule: "30 2 * * *",
    description: "At 02:30.",
    upcoming: [
      {
        at: "2026-03-29T01:00:00Z",
        local: "2026-03-29T03:00:00+02:00",
        clock_change: "the clock goes from 02:00 to 03:00 at this moment",
      },
      { at: "2026-03-30T00:30:00Z", local: "2026-03-30T02:30:00+02:00", clock_change: null },
    ],
    last: { at: inHours(-16.8), run_id: "0190f00d0000000000000000000000a1", status: "succeeded", note: null },
  }),
  trigger({
    trigger: "reports",
    kind: "every",
    rule: "every 1mo on the last fri at 17:00",
    description: "every 1mo on the last fri at 17:00",
    next_at: inHours(400),
    last: { at: inHours(-300), run_id: null, status: null, note: "the run b17f was still going on" },
    why: "the run b17f was still going on",
  }),
  trigger({
    trigger: "hourly",
    rule: "0 * * * *",
    description: "At every hour.",
    paused: true,
    next_at: null,
    why: "it is paused",
  }),
  trigger({
    pipeline: "nightly",
    trigger: "load",
    rule: "0 5 * * mon-fri",
    description: "At 05:00, Monday through Friday.",
    overdue_since: inHours(-3),
    why: "the input `region` has no value",
  }),
  WINDOWS,
];

const DAY = 86_400_000;
/** @type {Record<number, [string, string | null]>} */
const STATES = {
  9: ["stale", "data:orders was version 7 when this window ran, and has changed content in version 8"],
  17: ["failed", "the run 3f1c failed"],
  30: ["cancelled", "cancelled by hand"],
  36: ["running", null],
  37: ["running", null],
  38: ["waiting_on_dependency", "waits for `ingest_orders`: 2026-03-30T00:00:00+02:00 is failed"],
  39: ["waiting", null],
};

/** @param {Date} day */
const local = (day) => `${day.toISOString().slice(0, 10)}T00:00:00+01:00`;

/** @returns {api.WindowListView} */
export const windowList = () => ({
  triggers: [WINDOWS],
  dependencies: [
    { trigger: "days", pipeline: "ingest_orders", offset: "0s", size: "1d", require: "all" },
    { trigger: "days", pipeline: "exchange_rates", offset: "-6d", size: "1w", require: "at least 5" },
    { trigger: "days", pipeline: "nightly", offset: "-1d", size: "1d", require: "all" },
  ],
  dependents: ["weekly_report"],
  windows: Array.from({ length: 40 }, (_, number) => {
    const start = new Date(Date.UTC(2026, 1, 20) + number * DAY);
    const [state, reason] = STATES[number] ?? ["succeeded", null];
    return {
      trigger: "days",
      start: local(start),
      end: local(new Date(start.getTime() + DAY)),
      state,
      reason,
      attempt: state === "waiting" || state === "waiting_on_dependency" ? 0 : 1 + (number % 9 === 8 ? 1 : 0),
      run_id: state.startsWith("waiting") ? null : "0190f00d0000000000000000000000a1",
      due_at: new Date(start.getTime() + DAY + 7_200_000).toISOString(),
    };
  }),
});
