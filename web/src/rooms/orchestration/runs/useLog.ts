import { useEffect, useReducer } from "react";
import { problemOf } from "../../../api/client";
import type { Problem } from "../../../api/types.gen";
import { readLog } from "../queries";

export interface LogState {
  lines: string[];
  ended: boolean;
  loaded: boolean;
  problem: Problem | null;
}

type Event = { text: string; ended: boolean } | { problem: Problem };

const EVERY_MS = 1000;
const EMPTY: LogState = { lines: [], ended: false, loaded: false, problem: null };

/** Adds a piece of a log; the last line may be a beginning that the next piece goes on with. */
export function appendText(lines: readonly string[], text: string): string[] {
  if (text === "") return [...lines];
  const [first = "", ...rest] = text.split("\n");
  return [...lines.slice(0, -1), (lines.at(-1) ?? "") + first, ...rest];
}

/** The text with a newline at its end: the server sends whole lines only. */
function wholeLines(text: string): string {
  return text === "" || text.endsWith("\n") ? text : `${text}\n`;
}

function reduce(state: LogState, event: Event): LogState {
  if ("problem" in event) return { ...state, problem: event.problem, loaded: true };
  return { lines: appendText(state.lines, event.text), ended: event.ended, loaded: true, problem: null };
}

/** Reads a step's log from its beginning and follows it until it ends. */
export function useLog(run: string, step: string, attempt: number): LogState {
  const [state, dispatch] = useReducer(reduce, EMPTY);
  useEffect(() => {
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const read = async (offset: number): Promise<void> => {
      try {
        const chunk = await readLog(run, step, attempt, offset, stop.signal);
        if (stop.signal.aborted) return;
        const more = chunk.next_offset > offset && chunk.next_offset < chunk.size;
        dispatch({ text: wholeLines(chunk.text), ended: chunk.ended && !more });
        if (more) return await read(chunk.next_offset);
        if (!chunk.ended) timer = setTimeout(() => void read(chunk.next_offset), EVERY_MS);
      } catch (error) {
        if (!stop.signal.aborted) dispatch({ problem: problemOf(error) });
      }
    };
    void read(0);
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [run, step, attempt]);
  return state;
}
