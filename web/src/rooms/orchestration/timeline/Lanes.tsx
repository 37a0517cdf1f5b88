import { Link } from "@tanstack/react-router";
import { useEffect, useRef } from "react";
import type { TimelineRun, TimelineView } from "../../../api/types.gen";
import { ticksBetween } from "../../../charts/gantt/ticks";
import { clock, dateTime } from "../../../format/time";
import { LaneRuns } from "./LaneRuns";
import { move, place, type Window, zoom } from "./zoom";

interface LanesProps {
  names: string[];
  view: TimelineView;
  shown: Window;
  now: number;
  onWindow: (next: Window) => void;
}

const NONE: TimelineRun[] = [];

/** A lane a pipeline. Control and wheel zoom, shift and wheel move; so do plus, minus and the arrows. */
export function Lanes({ names, view, shown, now, onWindow }: LanesProps) {
  const host = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = host.current;
    const onWheel = (event: WheelEvent) => {
      if (!event.ctrlKey && !event.metaKey && !event.shiftKey) return;
      // The page itself must not zoom; React's own listener may not prevent that.
      event.preventDefault();
      const track = element?.querySelector(".lane-track")?.getBoundingClientRect();
      const share = track ? Math.min(1, Math.max(0, (event.clientX - track.left) / track.width)) : 0.5;
      const by = event.deltaY || event.deltaX;
      onWindow(event.shiftKey ? move(shown, Math.sign(by) * 0.1) : zoom(shown, by > 0 ? 1.25 : 0.8, share));
    };
    const onKey = (event: KeyboardEvent) => {
      const next = keyed(event.key, shown);
      if (!next || event.target !== element) return;
      event.preventDefault();
      onWindow(next);
    };
    element?.addEventListener("wheel", onWheel, { passive: false });
    element?.addEventListener("keydown", onKey);
    return () => {
      element?.removeEventListener("wheel", onWheel);
      element?.removeEventListener("keydown", onKey);
    };
  }, [shown, onWindow]);
  const lanes = new Map(view.lanes.map((lane) => [lane.pipeline, lane.runs]));
  const length = shown.to - shown.from;
  const ticks = ticksBetween(
    shown.from,
    shown.to,
    window.innerWidth < 760 ? 3 : 8,
    new Date(shown.from).getTimezoneOffset(),
  );
  return (
    <div
      ref={host}
      className="lanes"
      tabIndex={0}
      role="group"
      aria-label="pipelines over time: plus and minus zoom, arrows move"
    >
      <div className="lane lane-axis" aria-hidden>
        <span />
        <span className="lane-track">
          {ticks.map((at) => (
            <span
              key={at}
              className={`gantt-tick small muted ${place(shown, at) > 88 ? "gantt-tick-end" : ""}`}
              style={{ left: `${place(shown, at)}%` }}
            >
              {length > 2 * 86_400_000 ? dateTime(at).slice(0, 6) : clock(at).slice(0, 5)}
            </span>
          ))}
        </span>
      </div>
      {names.map((name) => (
        <div key={name} className="lane">
          <Link to="/pipelines/$name" params={{ name }} className="lane-name">
            {name}
          </Link>
          <LaneRuns pipeline={name} runs={lanes.get(name) ?? NONE} shown={shown} now={now} />
        </div>
      ))}
    </div>
  );
}

/** The window that a key leads to. */
function keyed(key: string, shown: Window): Window | null {
  if (key === "+") return zoom(shown, 0.5);
  if (key === "-") return zoom(shown, 2);
  if (key === "ArrowLeft") return move(shown, -0.25);
  return key === "ArrowRight" ? move(shown, 0.25) : null;
}
