/** Height of a line, pixels. */
export const LINE = 18;
/** What browsers still scroll well, pixels. A longer log is scrolled in proportion. */
const MOST = 6_000_000;

/** Where a log of `lines` lines stands in a window of `height` pixels. */
export interface View {
  lines: number;
  height: number;
}

/** Pixels of the whole log. */
const whole = ({ lines }: View) => lines * LINE;

/** Pixels of what scrolls. */
export function scrolled(view: View): number {
  return Math.min(whole(view), MOST);
}

/** How many pixels of the log a scrolled pixel stands for. */
export function scale(view: View): number {
  const left = scrolled(view) - view.height;
  return left > 0 ? Math.max(1, (whole(view) - view.height) / left) : 1;
}

/** The nearest position that there is, pixels of the log from its top. */
export function within(view: View, position: number): number {
  return Math.min(Math.max(0, position), Math.max(0, whole(view) - view.height));
}

/** The lines in the window, with some before and behind. */
export function visible(view: View, position: number, spare = 10): { from: number; to: number } {
  const from = Math.max(0, Math.floor(position / LINE) - spare);
  const to = Math.min(view.lines, Math.ceil((position + view.height) / LINE) + spare);
  return { from, to: Math.max(from, to) };
}

/** The position that shows a line: in the middle, or at an edge. */
export function positionOf(view: View, line: number, align: "start" | "center" | "end" = "center"): number {
  const free = view.height - LINE;
  const above = align === "start" ? 0 : align === "end" ? free : free / 2;
  return within(view, line * LINE - above);
}

/** Pages of `size` lines that hold the lines from `from` to `to`. */
export function pages(from: number, to: number, size: number): number[] {
  const found: number[] = [];
  for (let page = Math.floor(from / size); page * size < to; page++) found.push(page);
  return found;
}
