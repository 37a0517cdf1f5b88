/** A window of time, milliseconds since 1970. */
export interface Window {
  from: number;
  to: number;
}

const MINUTE = 60_000;
/** The shortest and the longest window. */
export const LEAST = 5 * MINUTE;
export const MOST = 90 * 24 * 60 * MINUTE;

/** The windows that can be chosen by name. */
export const SPANS: { name: string; ms: number }[] = [
  { name: "1 hour", ms: 60 * MINUTE },
  { name: "6 hours", ms: 6 * 60 * MINUTE },
  { name: "1 day", ms: 24 * 60 * MINUTE },
  { name: "7 days", ms: 7 * 24 * 60 * MINUTE },
  { name: "30 days", ms: 30 * 24 * 60 * MINUTE },
];

/** Makes a window `factor` times as long; what is at `share` (0 to 1) of it stays where it is. */
export function zoom({ from, to }: Window, factor: number, share = 0.5): Window {
  const length = to - from;
  const next = Math.round(Math.min(MOST, Math.max(LEAST, length * factor)));
  const start = Math.round(from + (length - next) * share);
  return { from: start, to: start + next };
}

/** Moves a window by a share of its length. */
export function move({ from, to }: Window, share: number): Window {
  const by = Math.round((to - from) * share);
  return { from: from + by, to: to + by };
}

/** Where a time lies in a window, percent of its length. */
export function place({ from, to }: Window, at: number): number {
  return ((at - from) / (to - from)) * 100;
}

/** Rows for bars that overlap: each goes into the first row that is free. Bars are in the order of their beginnings. */
export function rows(bars: readonly { from: number; to: number }[], most: number): number[] {
  const ends: number[] = [];
  return bars.map(({ from, to }) => {
    const free = ends.findIndex((end) => end <= from);
    const row = free >= 0 ? free : Math.min(ends.length, most - 1);
    ends[row] = Math.max(ends[row] ?? -Infinity, to);
    return row;
  });
}
