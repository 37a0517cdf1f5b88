const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const of = (unit: number, ...counts: number[]) => counts.map((count) => count * unit);
const SIZES = of(1, 1, 2, 5, 10, 20, 50, 100, 200, 500).concat(
  of(SECOND, 1, 2, 5, 10, 20, 30),
  of(MINUTE, 1, 2, 5, 10, 20, 30),
  of(HOUR, 1, 2, 3, 6, 12),
  of(DAY, 1, 2, 7, 14, 28),
);

/** Milliseconds between ticks, so that there are at most `most` of them in `span` milliseconds. */
export function tickSize(span: number, most: number): number {
  const last = SIZES.at(-1) ?? 1;
  return SIZES.find((size) => span / size <= most) ?? Math.ceil(span / most / last) * last;
}

/** Round moments after a beginning, milliseconds from it. */
export function ticksSince(span: number, most: number): number[] {
  const size = tickSize(span, most);
  return Array.from({ length: Math.floor(span / size) + 1 }, (_, index) => index * size);
}

/** Round times of the reader's day between two, milliseconds since 1970. `offset`: minutes that the zone is behind UTC. */
export function ticksBetween(from: number, to: number, most: number, offset: number): number[] {
  const size = tickSize(to - from, most);
  const shift = offset * 60_000;
  const found: number[] = [];
  for (let at = Math.ceil((from - shift) / size) * size + shift; at <= to; at += size) found.push(at);
  return found;
}
