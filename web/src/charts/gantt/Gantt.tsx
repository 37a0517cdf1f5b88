import { useVirtualizer } from "@tanstack/react-virtual";
import { useMemo, useRef, useState } from "react";
import { duration } from "../../format/duration";
import { statusLook } from "../../ui/statusLook";
import { ChartFrame } from "../engine/ChartFrame";
import { barsOf, type GanttStep, range, total } from "./bars";
import { GanttRow } from "./GanttRow";
import { type GanttEntry, type GanttItems, lines } from "./rows";
import { ticksSince } from "./ticks";

interface GanttProps {
  steps: GanttStep[];
  now: number;
  /** What the run's length is made of. */
  note?: string;
  selected?: string | null;
  onSelect?: (id: string) => void;
  /** The items of the step that is open. */
  open?: GanttItems;
  /** Opens a step that has items, or closes it. */
  onOpen?: (id: string) => void;
}

const ROW = 28;

/** When each step waited and worked; what set the run's length stands out. Rows exist only where they are seen. */
export function Gantt({ steps, now, note, selected, onSelect, open, onOpen }: GanttProps) {
  const host = useRef<HTMLDivElement>(null);
  const [looked, setLooked] = useState<string | null>(null);
  const [onlyCritical, setOnlyCritical] = useState(false);
  const entries = useMemo<GanttEntry[]>(() => {
    const shown = steps.map((step) => ({ step, bars: barsOf(step, now) })).filter(({ bars }) => bars.length > 0);
    const chosen = onlyCritical ? shown.filter(({ step }) => step.critical) : shown;
    return chosen.toSorted((a, b) => (a.bars[0]?.from ?? 0) - (b.bars[0]?.from ?? 0));
  }, [steps, now, onlyCritical]);
  const below = useMemo<GanttEntry[]>(
    () => (open?.items ?? []).map((step) => ({ step, bars: barsOf(step, now) })),
    [open?.items, now],
  );
  const shown = lines(entries, below, open);
  const { from, to } = useMemo(() => range(entries.flatMap(({ bars }) => bars)), [entries]);
  const rows = useVirtualizer({
    count: shown.length,
    getScrollElement: () => host.current,
    estimateSize: () => ROW,
    overscan: 12,
  });
  if (entries.length === 0) return <p className="muted">No step has started.</p>;
  const detail = [...entries, ...below].find(({ step }) => step.id === (looked ?? selected));
  const share = (at: number) => ((at - from) / (to - from)) * 100;
  return (
    <ChartFrame
      title="Timeline"
      note={note ?? duration(to - from)}
      data={data(entries)}
      actions={
        <label className="row small" style={{ gap: 4, flexWrap: "nowrap" }}>
          <input type="checkbox" checked={onlyCritical} onChange={(event) => setOnlyCritical(event.target.checked)} />{" "}
          critical path only
        </label>
      }
    >
      <div className="gantt">
        <div className="gantt-row gantt-axis" aria-hidden>
          <span />
          <span className="gantt-track">
            {ticksSince(to - from, window.innerWidth < 760 ? 3 : 6).map((tick) => (
              <span
                key={tick}
                className={`gantt-tick small muted ${share(from + tick) > 88 ? "gantt-tick-end" : ""}`}
                style={{ left: `${share(from + tick)}%` }}
              >
                {duration(tick)}
              </span>
            ))}
          </span>
          <span />
        </div>
        <div ref={host} className="gantt-rows" style={{ maxHeight: 460 }}>
          <div style={{ height: rows.getTotalSize(), position: "relative" }}>
            {rows.getVirtualItems().map((row) => {
              const line = shown[row.index];
              if (!line) return null;
              if (line.kind === "more") {
                return (
                  <div key="more" className="gantt-line" style={{ top: row.start }}>
                    <button
                      type="button"
                      className="button quiet small gantt-more"
                      disabled={open?.loading}
                      onClick={open?.more}
                    >
                      {open?.loading ? "Loading the items …" : `Show more items of ${line.step}`}
                    </button>
                  </div>
                );
              }
              const { id, items } = line.step;
              return (
                <div key={id} className="gantt-line" style={{ top: row.start }}>
                  <GanttRow
                    entry={line}
                    item={line.kind === "item"}
                    share={share}
                    selected={selected === id}
                    open={items === undefined || !onOpen ? undefined : open?.of === id}
                    onOpen={() => onOpen?.(id)}
                    onSelect={() => onSelect?.(id)}
                    onLook={(on) => setLooked(on ? id : null)}
                  />
                </div>
              );
            })}
          </div>
        </div>
        <p className="small gantt-detail" aria-live="polite">
          {detail ? words(detail) : "Point at a step to see how long it waited and worked."}
        </p>
        <p className="small muted row gantt-legend">
          <span className="gantt-key gantt-queue" /> waits for a slot
          <span className="gantt-key gantt-wait" /> waits for something outside
          <span className="gantt-key gantt-pause" /> before another attempt
          <span className="gantt-key gantt-critical" /> critical path
        </p>
      </div>
    </ChartFrame>
  );
}

/** What a step did, as a sentence: for those who hear it, and those whose finger cannot hover. */
function words({ step, bars }: GanttEntry): string {
  const said = bars.map(({ kind, status, attempt, from, to }) => {
    const long = duration(to - from);
    if (kind === "queue") return `waited ${long} for a slot`;
    if (kind === "pause") return `paused ${long}`;
    const which = step.attempts.length > 1 ? `attempt ${attempt} ` : "";
    return `${which}${statusLook(status).word} ${kind === "wait" ? "for" : "after"} ${long}`;
  });
  return `${step.name ?? step.id}: ${said.join(", ")}${step.critical ? "; on the critical path" : ""}`;
}

function data(entries: readonly GanttEntry[]) {
  return {
    columns: ["step", "status", "attempts", "queued_ms", "paused_ms", "work_ms", "critical"],
    rows: entries.map(({ step, bars }) => [
      step.id,
      step.status,
      step.attempts.length,
      total(bars, "queue"),
      total(bars, "pause"),
      total(bars, "work", "wait"),
      step.critical,
    ]),
  };
}
