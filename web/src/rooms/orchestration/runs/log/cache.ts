import type { LogLineView } from "../../../../api/types.gen";

/** Lines of a page. */
export const PAGE = 500;
/** Pages that are kept; those that were not looked at for longest go first. */
const MOST_PAGES = 80;

/** The lines of a log that were read, wherever they stand in it. */
export class LogCache {
  private readonly pages = new Map<number, (LogLineView | undefined)[]>();

  put(lines: readonly LogLineView[]): void {
    for (const line of lines) this.page(Math.floor(line.number / PAGE))[line.number % PAGE] = line;
    for (const page of this.pages.keys()) {
      if (this.pages.size <= MOST_PAGES) break;
      this.pages.delete(page);
    }
  }

  line(number: number): LogLineView | undefined {
    return this.pages.get(Math.floor(number / PAGE))?.[number % PAGE];
  }

  /** Whether all lines of the page are here that there are of `total`; if so, it was looked at now. */
  has(page: number, total: number): boolean {
    const lines = this.pages.get(page);
    if (!lines) return false;
    this.pages.delete(page);
    this.pages.set(page, lines);
    const count = Math.min(PAGE, total - page * PAGE);
    for (let at = 0; at < count; at++) if (!lines[at]) return false;
    return true;
  }

  private page(page: number): (LogLineView | undefined)[] {
    const known = this.pages.get(page);
    if (known) return known;
    const lines: (LogLineView | undefined)[] = [];
    this.pages.set(page, lines);
    return lines;
  }
}
