export const PIPELINE_TABS = ["graph", "run", "yaml", "runs"] as const;
export type PipelineTab = (typeof PIPELINE_TABS)[number];
export interface PipelineSearch {
  tab?: PipelineTab;
}

export const RUN_TABS = ["graph", "timeline", "steps", "definition"] as const;
export type RunTab = (typeof RUN_TABS)[number];
export const RUN_PARTS = ["items", "log", "outputs", "attempts"] as const;
export interface RunSearch {
  tab?: RunTab;
  step?: string;
  part?: (typeof RUN_PARTS)[number];
  attempt?: number;
  /** The item of the step, from 0. */
  item?: number;
  /** Only items in this state. */
  state?: string;
  /** A line of the log, from 1. */
  line?: number;
}

export const COMPARE_TABS = ["steps", "values", "definition"] as const;
export type CompareTab = (typeof COMPARE_TABS)[number];
export interface CompareSearch {
  with?: string;
  tab?: CompareTab;
}

export interface TimelineSearch {
  /** Milliseconds shown. */
  span?: number;
  /** Its end, milliseconds since 1970; now if absent. */
  to?: number;
}

/** Names of the times that a list can be narrowed to, and their lengths in hours. */
export const AGES: Record<string, number> = { "1h": 1, "24h": 24, "7d": 24 * 7, "30d": 24 * 30 };

export interface RunsSearch {
  pipeline?: string;
  status?: string;
  trigger?: string;
  /** One of `AGES`. */
  age?: string;
  text?: string;
  /** Only those that steps of this run called, and only the step of it, `score[3]`. */
  parent?: string;
  step?: string;
  /** Also those that steps of other runs called. */
  all?: true;
  after?: string;
}

export const TRIGGER_GROUPS = ["schedule", "window", "event"] as const;
export interface TriggersSearch {
  group?: (typeof TRIGGER_GROUPS)[number];
  text?: string;
}

export interface WindowsSearch {
  /** Which of the pipeline's triggers; its first with windows if absent. */
  trigger?: string;
}

export interface ApprovalsSearch {
  state?: "all";
  after?: string;
}

export const EVENT_STATUSES = ["waiting", "held", "started", "filtered", "dead"] as const;
export interface EventsSearch {
  pipeline?: string;
  trigger?: string;
  status?: (typeof EVENT_STATUSES)[number];
  after?: string;
  event?: string;
}

type Raw = Record<string, unknown>;

const text = (value: unknown) => (value === undefined || value === null || value === "" ? undefined : String(value));
const word = <T extends string>(value: unknown, words: readonly T[]) => words.find((entry) => entry === value);

const whole = (value: unknown) => (Number.isInteger(Number(value)) && Number(value) > 0 ? Number(value) : undefined);

const index = (value: unknown) =>
  value !== undefined && value !== "" && Number.isInteger(Number(value)) && Number(value) >= 0
    ? Number(value)
    : undefined;

export const pipelineSearch = (raw: Raw): PipelineSearch => ({ tab: word(raw.tab, PIPELINE_TABS) });

export const runSearch = (raw: Raw): RunSearch => ({
  tab: word(raw.tab, RUN_TABS),
  step: text(raw.step),
  part: word(raw.part, RUN_PARTS),
  attempt: whole(raw.attempt),
  item: index(raw.item),
  state: text(raw.state),
  line: whole(raw.line),
});

export const compareSearch = (raw: Raw): CompareSearch => ({ with: text(raw.with), tab: word(raw.tab, COMPARE_TABS) });

export const timelineSearch = (raw: Raw): TimelineSearch => ({ span: whole(raw.span), to: whole(raw.to) });

export const runsSearch = (raw: Raw): RunsSearch => ({
  pipeline: text(raw.pipeline),
  status: text(raw.status),
  trigger: text(raw.trigger),
  age: word(raw.age, Object.keys(AGES)),
  text: text(raw.text),
  parent: text(raw.parent),
  step: text(raw.step),
  all: raw.all === true || raw.all === "true" ? true : undefined,
  after: text(raw.after),
});

export const triggersSearch = (raw: Raw): TriggersSearch => ({
  group: word(raw.group, TRIGGER_GROUPS),
  text: text(raw.text),
});

export const windowsSearch = (raw: Raw): WindowsSearch => ({ trigger: text(raw.trigger) });

export const approvalsSearch = (raw: Raw): ApprovalsSearch => ({
  state: word(raw.state, ["all"] as const),
  after: text(raw.after),
});

export const eventsSearch = (raw: Raw): EventsSearch => ({
  pipeline: text(raw.pipeline),
  trigger: text(raw.trigger),
  status: word(raw.status, EVENT_STATUSES),
  after: text(raw.after),
  event: text(raw.event),
});
