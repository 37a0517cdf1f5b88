import { useCallback, useEffect, useRef, useState } from "react";
import { problemOf, type Query } from "../../../../api/client";
import { streamEvents } from "../../../../api/stream";
import type { LogMatchView, LogSearchView, Problem } from "../../../../api/types.gen";
import { logPath } from "../../queries";

export interface Looked {
  pattern: string;
  regex: boolean;
  case: boolean;
}

export interface LogSearch {
  /** Numbers of the lines that have it, in order. */
  found: number[];
  /** How far the search is; `null` if there is none. */
  state: LogSearchView | null;
  running: boolean;
  problem: Problem | null;
}

const NOTHING: LogSearch = { found: [], state: null, running: false, problem: null };
const LIMIT = 500;

/** Looks for a text in an attempt's log, on the server; `start` with `from` goes on with a search that had too many matches. */
export function useLogSearch(run: string, step: string, attempt: number) {
  const [search, setSearch] = useState(NOTHING);
  const stop = useRef<AbortController | null>(null);
  useEffect(() => {
    const held = stop;
    return () => held.current?.abort();
  }, []);

  const start = useCallback(
    (looked: Looked, from = 0, limit = LIMIT): Promise<number[]> => {
      stop.current?.abort();
      const here = new AbortController();
      stop.current = here;
      setSearch((before) => (from > 0 ? { ...before, running: true } : { ...NOTHING, running: looked.pattern !== "" }));
      if (looked.pattern === "") return Promise.resolve([]);
      const query = { attempt, pattern: looked.pattern, regex: looked.regex, case: looked.case, from, limit };
      return lookFor(logPath(run, step, "/search"), query, here.signal, setSearch);
    },
    [run, step, attempt],
  );
  return { ...search, start };
}

/** Reads the events of a search; gives the numbers of the lines that it found. */
async function lookFor(
  path: string,
  query: Query,
  signal: AbortSignal,
  tell: (change: (before: LogSearch) => LogSearch) => void,
): Promise<number[]> {
  const found: number[] = [];
  try {
    for await (const { event, data } of streamEvents(path, query, signal)) {
      if (event === "match") {
        const { line } = JSON.parse(data) as LogMatchView;
        found.push(line.number);
        tell((before) => ({ ...before, found: [...before.found, line.number] }));
      } else if (event === "problem") {
        const problem = { ...(JSON.parse(data) as Problem), severity: "error" as const };
        tell((before) => ({ ...before, problem, running: false }));
      } else {
        const state = JSON.parse(data) as LogSearchView;
        tell((before) => ({ ...before, state, running: event !== "done" }));
      }
    }
  } catch (error) {
    if (!signal.aborted) tell(() => ({ ...NOTHING, problem: problemOf(error) }));
  }
  return found;
}
