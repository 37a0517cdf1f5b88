import { duration } from "./duration";

const LONG = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** Milliseconds since 1970 of an API timestamp; null if there is none. */
export function instant(text: string | number | null | undefined): number | null {
  if (text === null || text === undefined) return null;
  const value = typeof text === "number" ? text : Date.parse(text);
  return Number.isNaN(value) ? null : value;
}

/** The whole date and time in the reader's zone. */
export function dateTime(text: string | number | null | undefined): string {
  const at = instant(text);
  return at === null ? "–" : LONG.format(at);
}

/** Hours, minutes and seconds in the reader's zone. */
export function clock(text: string | number | null | undefined): string {
  const at = instant(text);
  return at === null ? "–" : CLOCK.format(at);
}

/** The moment in a zone, `Sun 29 Nov, 02:30`; in the reader's if there is no such zone. */
export function zoned(text: string, zone: string): string {
  const at = instant(text);
  if (at === null) return "–";
  const parts = { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" } as const;
  try {
    return new Intl.DateTimeFormat("en-GB", { ...parts, timeZone: zone }).format(at);
  } catch {
    return new Intl.DateTimeFormat("en-GB", parts).format(at);
  }
}

/** A local time as the API writes it, for people: `2026-11-22` for a midnight, else `2026-11-22 06:00`. */
export function localTime(text: string): string {
  const [date = text, time = ""] = text.split("T");
  return time.startsWith("00:00") ? date : `${date} ${time.slice(0, 5)}`;
}

const INSTANT = /\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)/g;

/** A sentence with the instants in it written for people, in the zone that each has. */
export const plainTimes = (sentence: string): string => sentence.replace(INSTANT, localTime);

/** How far away: `just now`, `5 minutes ago`, `in 2 hours`. */
export function ago(text: string | number | null | undefined, now: number): string {
  const at = instant(text);
  if (at === null) return "–";
  const distance = Math.abs(now - at);
  if (distance < 10_000) return "just now";
  const words = coarse(distance);
  return at > now ? `in ${words}` : `${words} ago`;
}

function coarse(ms: number): string {
  const steps: [number, string][] = [
    [86_400_000, "day"],
    [3_600_000, "hour"],
    [60_000, "minute"],
    [1000, "second"],
  ];
  for (const [size, word] of steps) {
    const value = Math.round(ms / size);
    if (ms >= size && value > 0) return `${value} ${word}${value === 1 ? "" : "s"}`;
  }
  return "a moment";
}

/** Time from start to end, or to now while it lasts. */
export function span(start: string | null | undefined, end: string | null | undefined, now: number): string {
  const from = instant(start);
  if (from === null) return "–";
  return duration((instant(end) ?? now) - from);
}
