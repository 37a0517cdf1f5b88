import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { LogLine } from "./LogLine";
import { LINE, positionOf, scale, scrolled, type View, visible, within } from "./position";
import type { Log } from "./useLog";

/** Where to go: a new object each time, so that one can go to the same line again. */
export interface Target {
  line: number;
  align: "start" | "center" | "end";
}

interface LogLinesProps {
  log: Log;
  label: string;
  target: Target | null;
  /** Whether the last line stays in sight as lines come. */
  follow: boolean;
  onLeaveEnd: () => void;
  here: number | null;
  found: ReadonlySet<number>;
  times: boolean;
  onPick: (line: number) => void;
}

const HEIGHT = 460;

/** The lines of a log in a window, of which only those in sight exist: a log of ten million lines scrolls as one of ten. */
export function LogLines(props: LogLinesProps) {
  const { log, label, target, follow, onLeaveEnd, here, found, times, onPick } = props;
  const host = useRef<HTMLDivElement>(null);
  const { total } = log;
  const view = useMemo<View>(
    () => ({ lines: total, height: Math.min(HEIGHT, Math.max(LINE * 2, total * LINE + 12)) }),
    [total],
  );
  const factor = scale(view);
  const at = (goal: Target) => positionOf(view, goal.line, goal.align);
  const [chosen, setChosen] = useState(() => (target ? at(target) : 0));
  const [seen, setSeen] = useState(target);
  if (target && target !== seen) {
    setSeen(target);
    setChosen(at(target));
  }
  const position = within(view, follow ? Infinity : chosen);

  useLayoutEffect(() => {
    if (host.current) host.current.scrollTop = position / factor;
  }, [position, factor]);

  const { from, to } = visible(view, position);
  const { want } = log;
  useEffect(() => want(from, to), [want, from, to]);

  useEffect(() => {
    const element = host.current;
    const go = (by: number) => {
      const next = within(view, position + by);
      if (by < 0) onLeaveEnd();
      setChosen(next);
    };
    // A wheel's notch moves by lines also where a pixel of the scroll bar stands for many; React's own listener may not prevent.
    const onWheel = (event: WheelEvent) => {
      if (factor === 1 || event.deltaY === 0) {
        if (event.deltaY < 0) onLeaveEnd();
        return;
      }
      event.preventDefault();
      go(event.deltaY);
    };
    const onKey = (event: KeyboardEvent) => {
      const step = stepOf(event.key, view.height);
      if (step === undefined || event.target !== element) return;
      event.preventDefault();
      go(step);
    };
    element?.addEventListener("wheel", onWheel, { passive: false });
    element?.addEventListener("keydown", onKey);
    return () => {
      element?.removeEventListener("wheel", onWheel);
      element?.removeEventListener("keydown", onKey);
    };
  }, [view, position, factor, onLeaveEnd]);

  const onScroll = () => {
    const top = host.current?.scrollTop ?? 0;
    // What was set by the effect comes back rounded.
    if (Math.abs(top - position / factor) <= 1) return;
    if (top * factor < position) onLeaveEnd();
    setChosen(within(view, top * factor));
  };
  const numbers = Array.from({ length: to - from }, (_, index) => from + index);
  const top = position / factor;
  return (
    <div
      ref={host}
      className="log"
      style={{ height: view.height }}
      tabIndex={0}
      role="log"
      aria-label={label}
      aria-live="off"
      onScroll={onScroll}
    >
      <div className="log-sheet" style={{ height: scrolled(view) }}>
        {numbers.map((number) => (
          <LogLine
            key={number}
            number={number}
            line={log.line(number)}
            top={top + number * LINE - position}
            marked={number === here ? "here" : found.has(number) ? "found" : ""}
            times={times}
            onPick={onPick}
          />
        ))}
      </div>
    </div>
  );
}

/** How far a key moves, pixels of the log. */
function stepOf(key: string, height: number): number | undefined {
  const steps: Record<string, number> = {
    ArrowUp: -LINE,
    ArrowDown: LINE,
    PageUp: -height,
    PageDown: height,
    Home: -Infinity,
    End: Infinity,
  };
  return steps[key];
}
