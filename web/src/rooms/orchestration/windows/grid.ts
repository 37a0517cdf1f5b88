import type { WindowView } from "../../../api/types.gen";

/** A month of days, a day of hours, a year of months: what stands in one block. */
export interface WindowGroup {
  label: string;
  columns: number;
  /** Places in reading order; null where no window is. */
  cells: (WindowView | null)[];
}

const DAY = 86_400_000;

/** Length of a window by its local ends, milliseconds: a day is a day whatever the clock does. */
function localLength({ start, end }: WindowView): number {
  const local = (text: string) => Date.parse(`${text.slice(0, 19)}Z`);
  return local(end) - local(start);
}

/** Windows as a calendar: days in weeks, shorter ones a row a day, longer ones a row a year. Oldest first. */
export function grid(windows: WindowView[]): WindowGroup[] {
  const first = windows[0];
  if (!first) return [];
  // The newest size decides; older windows of another size keep their places in it.
  const length = localLength(windows.at(-1) ?? first);
  if (length >= DAY && length < 7 * DAY) return byKey(windows, 7).map(withWeeks);
  if (length < DAY) return byKey(windows, 10);
  return byKey(windows, 4).map((group) => ({ ...group, columns: Math.min(group.columns, 13) }));
}

/** Windows that begin with the same so many letters: a month, a day, a year. */
function byKey(windows: WindowView[], letters: number): WindowGroup[] {
  const groups = Map.groupBy(windows, (window) => window.start.slice(0, letters));
  return [...groups].map(([label, cells]) => ({ label, columns: Math.min(cells.length, 24), cells }));
}

/** Puts days under their weekdays, Monday first. */
function withWeeks({ label, cells }: WindowGroup): WindowGroup {
  const places: (WindowView | null)[] = [];
  for (const window of cells) {
    const date = new Date(`${window?.start.slice(0, 10)}T00:00:00Z`);
    const monthBegins = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1));
    const before = (monthBegins.getUTCDay() + 6) % 7;
    const place = before + date.getUTCDate() - 1;
    while (places.length < place) places.push(null);
    places.push(window);
  }
  return { label, columns: 7, cells: places };
}

/** What is written in a cell: the day, the hour or the month. */
export function cellText(window: WindowView): string {
  const length = localLength(window);
  if (length < DAY) return window.start.slice(11, 16);
  return length < 28 * DAY ? window.start.slice(8, 10) : window.start.slice(5, 7);
}

const SIGNS: Record<string, string> = {
  succeeded: "✓",
  failed: "✗",
  running: "▶",
  waiting: "·",
  waiting_on_dependency: "⧗",
  cancelled: "–",
  stale: "!",
};

/** A sign beside the colour of a state. */
export const sign = (state: string): string => SIGNS[state] ?? "?";

/** The range between two windows, in their order. */
export function rangeOf(one: WindowView, other: WindowView): { from: string; until: string } {
  const ordered = one.start <= other.start ? [one, other] : [other, one];
  return { from: ordered[0]?.start ?? one.start, until: ordered[1]?.end ?? other.end };
}
