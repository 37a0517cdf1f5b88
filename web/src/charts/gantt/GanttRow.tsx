import { duration } from "../../format/duration";
import { count } from "../../format/number";
import { statusLook } from "../../ui/statusLook";
import { type Bar, total } from "./bars";
import type { GanttEntry } from "./rows";

interface GanttRowProps {
  entry: GanttEntry;
  /** Whether it is an item of the step above it. */
  item: boolean;
  /** Percent of the width at which a moment is. */
  share: (at: number) => number;
  selected: boolean;
  /** Whether its items are shown; undefined if it has none. */
  open: boolean | undefined;
  onOpen: () => void;
  onSelect: () => void;
  onLook: (on: boolean) => void;
}

/** A step's name, its bars, and how long it worked. */
export function GanttRow(props: GanttRowProps) {
  const { entry, item, share, selected, open, onOpen, onSelect, onLook } = props;
  const { step, bars } = entry;
  const worked = total(bars, "work", "wait");
  const name = step.name ?? step.id;
  const many = step.items === undefined ? "" : ` × ${count(step.items)}`;
  return (
    <>
      {open !== undefined && (
        <button
          type="button"
          className="gantt-toggle"
          aria-expanded={open}
          aria-label={`items of ${name}`}
          onClick={onOpen}
        >
          <span aria-hidden>{open ? "▾" : "▸"}</span>
        </button>
      )}
      <button
        type="button"
        className={`gantt-row ${step.critical ? "critical" : ""} ${item ? "gantt-item" : ""} ${open === undefined ? "" : "gantt-many"}`}
        aria-pressed={selected}
        aria-label={`${name}${many}, ${statusLook(step.status).word}, waited ${duration(total(bars, "queue"))}, worked ${duration(worked)}${step.critical ? ", on the critical path" : ""}`}
        onClick={onSelect}
        onMouseEnter={() => onLook(true)}
        onMouseLeave={() => onLook(false)}
        onFocus={() => onLook(true)}
        onBlur={() => onLook(false)}
      >
        <span className="gantt-name" title={name}>
          {name}
          {many && <span className="muted">{many}</span>}
        </span>
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
    </>
  );
}

function fill({ kind, status }: Bar): string | undefined {
  return kind === "work" ? `var(--${statusLook(status).tone})` : undefined;
}
