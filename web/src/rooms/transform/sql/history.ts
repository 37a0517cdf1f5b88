/** A query that was run, newest first. */
export interface PastQuery {
  sql: string;
  /** Milliseconds since 1970. */
  at: number;
  rows?: number;
  elapsed_ms?: number;
  failed?: boolean;
}

const PLACE = "millrace.sql.history";
const MOST = 100;

/** What this browser kept; nothing if it keeps nothing or what it kept cannot be read. */
export function readHistory(storage: Pick<Storage, "getItem"> = localStorage): PastQuery[] {
  try {
    const kept: unknown = JSON.parse(storage.getItem(PLACE) ?? "[]");
    return Array.isArray(kept) ? kept.filter(isPast) : [];
  } catch {
    return [];
  }
}

export function writeHistory(history: readonly PastQuery[], storage: Pick<Storage, "setItem"> = localStorage): boolean {
  try {
    storage.setItem(PLACE, JSON.stringify(history));
    return true;
  } catch {
    return false;
  }
}

/** With one more on top; the same text stands there once. */
export function withQuery(history: readonly PastQuery[], query: PastQuery): PastQuery[] {
  return [query, ...history.filter(({ sql }) => sql.trim() !== query.sql.trim())].slice(0, MOST);
}

function isPast(entry: unknown): entry is PastQuery {
  if (typeof entry !== "object" || entry === null) return false;
  return "sql" in entry && typeof entry.sql === "string" && "at" in entry && typeof entry.at === "number";
}

let kept: PastQuery[] | undefined;
const listeners = new Set<() => void>();

/** The history of this browser, for all that show it. */
export const history = {
  now: (): PastQuery[] => (kept ??= readHistory()),
  subscribe: (listener: () => void) => {
    listeners.add(listener);
    return () => void listeners.delete(listener);
  },
  /** Puts a query on top, unless it stands there already. */
  add: (query: PastQuery) => {
    const before = history.now();
    if (before[0]?.sql !== query.sql || before[0].at !== query.at) replace(withQuery(before, query));
  },
  forget: () => replace([]),
};

function replace(next: PastQuery[]): void {
  kept = next;
  writeHistory(next);
  for (const listener of listeners) listener();
}
