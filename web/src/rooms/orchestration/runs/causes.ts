/** What starts runs, as the API calls it, and as people do. */
const WORDS: Record<string, string> = {
  manual: "hand",
  cron: "its schedule",
  recurrence: "its recurrence",
  window: "a window",
  webhook: "a webhook",
  file: "a file",
  blob: "an object in a bucket",
  feed: "an entry of a feed",
  git: "a change in git",
  dataset: "a version of a dataset",
  model: "a version of a model",
  alert: "an alert",
  pipeline: "another pipeline",
  rerun: "a rerun",
  demo: "the demo",
};

const EVENTS = ["webhook", "file", "blob", "feed", "git", "dataset", "model", "alert"];

export interface CauseGroup {
  label: string;
  /** Values of the filter, several words separated by commas, with what they are called. */
  options: { value: string; label: string }[];
}

const one = (word: string) => ({ value: word, label: WORDS[word] ?? word });

/** What a list of runs can be narrowed to; `seen` are the words of the runs that are there, such as those of other orchestrators. */
export function causeGroups(seen: readonly string[]): CauseGroup[] {
  const others = [...new Set(seen)].filter((word) => !(word in WORDS)).toSorted();
  const groups = [
    { label: "People", options: ["manual", "rerun", "demo"].map(one) },
    {
      label: "Time",
      options: [{ value: "cron,recurrence", label: "any schedule" }, ...["cron", "recurrence", "window"].map(one)],
    },
    { label: "Events", options: [{ value: EVENTS.join(","), label: "any event" }, ...EVENTS.map(one)] },
    { label: "Pipelines", options: [one("pipeline")] },
    { label: "Other systems", options: others.map(one) },
  ];
  return groups.filter(({ options }) => options.length > 0);
}

/** What started a run, in words. */
export const starter = (trigger: string): string => WORDS[trigger] ?? trigger;
