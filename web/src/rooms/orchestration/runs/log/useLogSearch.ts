import { useCallback, useEffect, useRef, useState } from "react";
import { problemOf } from "../../../../api/client";
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
  useEffect(() => () => stop.current?.abort(), [run, step, attempt]);

  const start = useCallback(
    async (looked: Looked, from = 0, limit = LIMIT): Promise<number[]> => {
      stop.current?.abort();
      const here = new AbortController();
      stop.current = here;
      if (looked.pattern === "") {
        setSearch(NOTHING);
        return [];
      }
      setSearch((before) => ({ ...(from > 0 ? before : NOTHING), running: true }));
      const found: number[] = [];
      try {
        const query = { attempt, pattern: looked.pattern, regex: looked.regex, case: looked.case, from, limit };
        for await (const { event, data } of streamEvents(logPath(run, step, "/search"), query, here.signal)) {
          if (event === "match") {
            const { line } = JSON.parse(data) as LogMatchView;
            found.push(line.number);
            setSearch((before) => ({ ...before, found: [...before.found, line.number] }));
          } else if (event === "problem") {
            setSearch((before) => ({ ...before, problem: JSON.parse(data) as Problem }));
          } else {
            const state = JSON.parse(data) as LogSearchView;
            setSearch((before) => ({ ...before, state, running: event !== "done" }));
          }
        }
      } catch (error) {
        if (!here.signal.aborted) setSearch({ ...NOTHING, problem: problemOf(error) });
      }
      return found;
    },
    [run, step, attempt],
  );
  return { ...search, start };
}
