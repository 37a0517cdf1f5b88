import { type KeyboardEvent, useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";
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
export function LogLines({ log, label, target, follow, onLeaveEnd, here, found, times, onPick }: LogLinesProps) {
  const host = useRef<HTMLDivElement>(null);
  const height = Math.min(HEIGHT, Math.max(LINE * 2, log.total * LINE + 12));
  const view: View = { lines: log.total, height };
  const factor = scale(view);
  const [position, setPosition] = useState(0);
  const at = useRef(0);

  const go = useCallback((next: number, around: View) => {
    const kept = within(around, next);
    at.current = kept;
    setPosition(kept);
    if (host.current) host.current.scrollTop = kept / scale(around);
  }, []);

  const size = useRef(view);
  size.current = view;
  useLayoutEffect(() => {
    if (target) go(positionOf(size.current, target.line, target.align), size.current);
  }, [target, go]);
  useLayoutEffect(() => {
    if (follow) go(Infinity, size.current);
  }, [follow, log.total, go]);

  const { from, to } = visible(view, position);
  const { want } = log;
  useEffect(() => want(from, to), [want, from, to]);

  useEffect(() => {
    // A wheel's notch moves by lines also where a pixel of the scroll bar stands for many; React's own listener may not prevent.
    const element = host.current;
    const onWheel = (event: WheelEvent) => {
      if (event.deltaY < 0) onLeaveEnd();
      if (scale(size.current) === 1 || event.deltaY === 0) return;
      event.preventDefault();
      go(at.current + event.deltaY, size.current);
    };
    element?.addEventListener("wheel", onWheel, { passive: false });
    return () => element?.removeEventListener("wheel", onWheel);
  }, [go, onLeaveEnd]);

  const onScroll = () => {
    const top = host.current?.scrollTop ?? 0;
    // What was set by `go` comes back rounded.
    if (Math.abs(top - at.current / factor) <= 1) return;
    at.current = within(view, top * factor);
    setPosition(at.current);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const steps: Record<string, number> = {
      ArrowUp: -LINE,
      ArrowDown: LINE,
      PageUp: -height,
      PageDown: height,
      Home: -Infinity,
      End: Infinity,
    };
    const step = steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    if (step < 0) onLeaveEnd();
    go(at.current + step, view);
  };
  const numbers = Array.from({ length: to - from }, (_, index) => from + index);
  const top = position / factor;
  return (
    <div
      ref={host}
      className="log"
      style={{ height }}
      tabIndex={0}
      role="log"
      aria-label={label}
      aria-live="off"
      onScroll={onScroll}
      onKeyDown={onKeyDown}
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
