export const PIPELINE_TABS = ["graph", "run", "yaml", "runs"] as const;
export type PipelineTab = (typeof PIPELINE_TABS)[number];
export interface PipelineSearch {
  tab?: PipelineTab;
}

export const RUN_TABS = ["graph", "timeline", "steps", "definition"] as const;
export type RunTab = (typeof RUN_TABS)[number];
export interface RunSearch {
  tab?: RunTab;
  step?: string;
  part?: "log" | "outputs" | "attempts";
  attempt?: number;
}

export interface RunsSearch {
  pipeline?: string;
  status?: string;
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

export const pipelineSearch = (raw: Raw): PipelineSearch => ({ tab: word(raw.tab, PIPELINE_TABS) });

export const runSearch = (raw: Raw): RunSearch => ({
  tab: word(raw.tab, RUN_TABS),
  step: text(raw.step),
  part: word(raw.part, ["log", "outputs", "attempts"] as const),
  attempt: Number(raw.attempt) > 0 ? Number(raw.attempt) : undefined,
});

export const runsSearch = (raw: Raw): RunsSearch => ({
  pipeline: text(raw.pipeline),
  status: text(raw.status),
  after: text(raw.after),
});

export const eventsSearch = (raw: Raw): EventsSearch => ({
  pipeline: text(raw.pipeline),
  trigger: text(raw.trigger),
  status: word(raw.status, EVENT_STATUSES),
  after: text(raw.after),
  event: text(raw.event),
});
