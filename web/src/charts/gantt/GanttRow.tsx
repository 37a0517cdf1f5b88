import { duration } from "../../format/duration";
import { statusLook } from "../../ui/statusLook";
import { type Bar, total } from "./bars";
import type { GanttEntry } from "./Gantt";

interface GanttRowProps {
  entry: GanttEntry;
  top: number;
  /** Percent of the width at which a moment is. */
  share: (at: number) => number;
  selected: boolean;
  onSelect: () => void;
  onLook: (on: boolean) => void;
}

/** A step's name, its bars, and how long it worked. */
export function GanttRow({ entry: { step, bars }, top, share, selected, onSelect, onLook }: GanttRowProps) {
  const worked = total(bars, "work", "wait");
  return (
    <button
      type="button"
      className={`gantt-row ${step.critical ? "critical" : ""}`}
      style={{ position: "absolute", top, left: 0, right: 0 }}
      aria-pressed={selected}
      aria-label={`${step.id}, ${statusLook(step.status).word}, waited ${duration(total(bars, "queue"))}, worked ${duration(worked)}${step.critical ? ", on the critical path" : ""}`}
      onClick={onSelect}
      onMouseEnter={() => onLook(true)}
      onMouseLeave={() => onLook(false)}
      onFocus={() => onLook(true)}
      onBlur={() => onLook(false)}
    >
      <span className="gantt-name">{step.id}</span>
      <span className="gantt-track">
        {bars.map((bar) => (
          <span
            key={`${bar.kind}${bar.from}`}
            className={`gantt-bar gantt-${bar.kind}`}
            style={{
              left: `${share(bar.from)}%`,
              width: `max(2px, ${share(bar.to) - share(bar.from)}%)`,
              background: fill(bar),
              borderColor: `var(--${statusLook(bar.status).tone})`,
            }}
          />
        ))}
      </span>
      <span className="gantt-time mono">{duration(worked)}</span>
    </button>
  );
}

function fill({ kind, status }: Bar): string | undefined {
  return kind === "work" ? `var(--${statusLook(status).tone})` : undefined;
}
