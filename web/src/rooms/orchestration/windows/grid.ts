import type { WindowView } from "../../../api/types.gen";

/** Places in reading order, in rows; null where no window is. */
export interface WindowRow {
  label: string | null;
  cells: (WindowView | null)[];
}

/** What stands in one block: a month of days, a month of hours, the months of all years. */
export interface WindowGroup {
  label: string;
  /** Names of the columns; empty if they have none. */
  header: string[];
  rows: WindowRow[];
}

export interface WindowLayout {
  /** The newest block first. */
  groups: WindowGroup[];
  /** By how many windows the arrow up goes on: into the future where newer rows are above. */
  up: number;
}

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** Cells in a row of hours at most. */
const MOST_COLUMNS = 24;
const WEEKDAYS = ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"];
const MONTHS = "January February March April May June July August September October November December".split(" ");
const SHORT = MONTHS.map((name) => name.slice(0, 3));

/** The local time, as if it were UTC: a day is a day whatever the clock does. */
const local = (text: string) => new Date(`${text.slice(0, 19)}Z`);
const localLength = ({ start, end }: WindowView) => local(end).getTime() - local(start).getTime();

const monthName = (date: Date) => `${MONTHS[date.getUTCMonth()]} ${date.getUTCFullYear()}`;

/** Windows as a calendar: days in weeks, hours a row a day, weeks a row a month, months a row a year. */
export function layout(windows: readonly WindowView[]): WindowLayout {
  const newest = windows.at(-1);
  if (!newest) return { groups: [], up: 1 };
  // The newest size decides; older windows of another size keep their places in it.
  const length = localLength(newest);
  if (length < DAY) return ofHours(windows, length);
  if (length < 7 * DAY) return { groups: inGroups(windows, monthName, weeks), up: -7 };
  if (length < 28 * DAY) return { groups: inGroups(windows, (date) => String(date.getUTCFullYear()), months), up: 4 };
  const columns = Math.max(1, Math.round((365 * DAY) / length));
  const header = columns === 12 ? SHORT : columns === 4 ? ["Q1", "Q2", "Q3", "Q4"] : [];
  const rows = inRows(windows, (date) => [
    String(date.getUTCFullYear()),
    Math.floor((date.getUTCMonth() * columns) / 12),
  ]);
  return { groups: [{ label: "", header, rows: rows.toReversed() }], up: columns };
}

/** A row a day, or several if that would be too many cells. */
function ofHours(windows: readonly WindowView[], length: number): WindowLayout {
  const hours = [24, 12, 8, 6, 4, 3, 2, 1].find((entry) => (entry * HOUR) / length <= MOST_COLUMNS) ?? 1;
  const row = hours * HOUR;
  const columns = Math.max(1, Math.ceil(row / length));
  const whole = hours === 24;
  const header = whole ? Array.from({ length: columns }, (_, at) => clock((at * length) / HOUR)) : [];
  const rowsOf = (group: readonly WindowView[]) =>
    inRows(group, (date) => {
      const inDay = date.getUTCHours() * HOUR + date.getUTCMinutes() * 60_000 + date.getUTCSeconds() * 1000;
      const begin = Math.floor(inDay / row) * row;
      const day = `${["Su", "Mo", "Tu", "We", "Th", "Fr", "Sa"][date.getUTCDay()]} ${date.getUTCDate()}`;
      return [whole ? day : `${day}, ${clock(begin / HOUR)}`, Math.floor((inDay - begin) / length)];
    }).toReversed();
  const groups = inGroups(windows, monthName, rowsOf).map((group) => ({ ...group, header }));
  return { groups, up: columns };
}

const clock = (hours: number) =>
  `${String(Math.floor(hours)).padStart(2, "0")}${hours % 1 === 0 ? "" : `:${String(Math.round((hours % 1) * 60)).padStart(2, "0")}`}`;

/** Blocks of windows whose local beginnings have the same name, the newest first. */
function inGroups(
  windows: readonly WindowView[],
  name: (date: Date) => string,
  rows: (group: readonly WindowView[]) => WindowRow[],
): WindowGroup[] {
  const groups = named(windows, name);
  const days = rows === weeks;
  return [...groups].map(([label, group]) => ({ label, header: days ? WEEKDAYS : [], rows: rows(group) })).toReversed();
}

/** Windows by the name of their local beginning, in their order. */
function named(windows: readonly WindowView[], name: (date: Date) => string): Map<string, WindowView[]> {
  const found = new Map<string, WindowView[]>();
  for (const window of windows) {
    const label = name(local(window.start));
    const group = found.get(label);
    if (group) group.push(window);
    else found.set(label, [window]);
  }
  return found;
}

/** Rows by name, each window at its place; the second of an hour that comes twice stands beside the first. */
function inRows(windows: readonly WindowView[], place: (date: Date) => [string, number]): WindowRow[] {
  const rows = new Map<string, (WindowView | null)[]>();
  for (const window of windows) {
    const [label, at] = place(local(window.start));
    const cells = rows.get(label) ?? [];
    rows.set(label, cells);
    while (cells.length < at) cells.push(null);
    cells.push(window);
  }
  return [...rows].map(([label, cells]) => ({ label, cells }));
}

/** Days under their weekdays, Monday first. */
function weeks(windows: readonly WindowView[]): WindowRow[] {
  return inRows(windows, inWeek).map(({ cells }) => ({ label: null, cells }));
}

/** The Monday of a day's week, and its place in it. */
function inWeek(date: Date): [string, number] {
  const weekday = (date.getUTCDay() + 6) % 7;
  return [new Date(date.getTime() - weekday * DAY).toISOString().slice(0, 10), weekday];
}

/** Weeks in the months that they begin in, the newest month first. */
function months(windows: readonly WindowView[]): WindowRow[] {
  const rows = named(windows, (date) => SHORT[date.getUTCMonth()] ?? "");
  return [...rows].map(([label, cells]) => ({ label, cells })).toReversed();
}

/** What is written in a cell beside its sign: the day; nothing where the column or the row says it. */
export function cellText(window: WindowView): string {
  const length = localLength(window);
  return length < DAY || length >= 28 * DAY ? "" : String(local(window.start).getUTCDate());
}

const SIGNS: Record<string, string> = {
  succeeded: "✓",
  failed: "✗",
  running: "▶",
  waiting: "·",
  waiting_on_dependency: "…",
  cancelled: "–",
  stale: "!",
};

/** A sign beside the colour of a state. */
export const sign = (state: string): string => SIGNS[state] ?? "?";

/** The range between two windows, in their order. */
export function rangeOf(one: WindowView, other: WindowView): { from: string; until: string } {
  const ordered = Date.parse(one.start) <= Date.parse(other.start) ? [one, other] : [other, one];
  return { from: ordered[0]?.start ?? one.start, until: ordered[1]?.end ?? other.end };
}

/** The windows of a range. */
export function within(windows: readonly WindowView[], range: { from: string; until: string }): WindowView[] {
  const [from, until] = [Date.parse(range.from), Date.parse(range.until)];
  return windows.filter(({ start, end }) => Date.parse(start) >= from && Date.parse(end) <= until);
}
