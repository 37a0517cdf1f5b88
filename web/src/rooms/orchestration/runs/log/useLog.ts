import { useCallback, useEffect, useRef, useState } from "react";
import { problemOf } from "../../../../api/client";
import type { DroppedView, LogEndView, LogLineView, LogView, Problem } from "../../../../api/types.gen";
import { logAddress, readLog } from "../../queries";
import { LogCache, PAGE } from "./cache";
import { pages } from "./position";

export interface Log {
  total: number;
  bytes: number;
  ended: boolean;
  loaded: boolean;
  problem: Problem | null;
  /** Parts that are missing, since the program said more than is kept. */
  dropped: DroppedView[];
  line: (number: number) => LogLineView | undefined;
  /** Says which lines are looked at, so that they are read. */
  want: (from: number, to: number) => void;
}

interface State {
  total: number;
  bytes: number;
  ended: boolean;
  loaded: boolean;
  problem: Problem | null;
  dropped: DroppedView[];
}

const EMPTY: State = { total: 0, bytes: 0, ended: false, loaded: false, problem: null, dropped: [] };

/** An attempt's log, the same as long as the component lives: its last lines and what comes, and any other lines as soon as they are looked at. */
export function useLog(run: string, step: string, attempt: number): Log {
  const [state, setState] = useState(EMPTY);
  const [, redraw] = useState(0);
  const cache = useRef(new LogCache());
  const asked = useRef(new Set<number>());

  useEffect(() => {
    // Comes back by itself with the id of the last event, which is where it was.
    const source = new EventSource(logAddress(run, step, "/events", { attempt, tail: PAGE }));
    source.addEventListener("lines", ({ data }: MessageEvent<string>) => {
      const view = JSON.parse(data) as LogView;
      cache.current.put(view.lines);
      const { total, bytes, ended, dropped } = view;
      setState({ total, bytes, ended, dropped, loaded: true, problem: null });
    });
    source.addEventListener("end", ({ data }: MessageEvent<string>) => {
      source.close();
      const { dropped } = JSON.parse(data) as LogEndView;
      setState((before) => ({ ...before, dropped, ended: true, loaded: true }));
    });
    source.addEventListener("problem", ({ data }: MessageEvent<string>) => {
      source.close();
      const said = JSON.parse(data) as { code: string; message: string };
      setState((before) => ({ ...before, loaded: true, problem: { ...said, severity: "error" } }));
    });
    source.addEventListener("open", () => setState((before) => ({ ...before, loaded: true, problem: null })));
    source.addEventListener("error", () => {
      if (source.readyState !== EventSource.CLOSED) return;
      // Refused: an ordinary request says why.
      void readLog(run, step, { attempt, count: 1 }).catch((error: unknown) =>
        setState((before) => ({ ...before, loaded: true, problem: problemOf(error) })),
      );
    });
    return () => source.close();
  }, [run, step, attempt]);

  const { total } = state;
  const want = useCallback(
    (from: number, to: number) => {
      for (const page of pages(from, to, PAGE)) {
        if (asked.current.has(page) || cache.current.has(page, total)) continue;
        asked.current.add(page);
        readLog(run, step, { attempt, from: page * PAGE, count: PAGE })
          .then((view) => cache.current.put(view.lines))
          .catch((error: unknown) => setState((before) => ({ ...before, problem: problemOf(error) })))
          .finally(() => {
            asked.current.delete(page);
            redraw((count) => count + 1);
          });
      }
    },
    [run, step, attempt, total],
  );
  const line = useCallback((number: number) => cache.current.line(number), []);
  return { ...state, line, want };
}
