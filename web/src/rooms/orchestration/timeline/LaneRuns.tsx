import { Link } from "@tanstack/react-router";
import { useMemo } from "react";
import type { TimelineRun } from "../../../api/types.gen";
import { duration } from "../../../format/duration";
import { dateTime } from "../../../format/time";
import { statusLook } from "../../../ui/statusLook";
import { place, rows, type Window } from "./zoom";

interface LaneRunsProps {
  pipeline: string;
  runs: TimelineRun[];
  shown: Window;
  now: number;
}

const ROW = 14;
/** Runs at once beyond this share a row. */
const MOST_ROWS = 6;

/** A pipeline's runs, one bar each, those that went on together below each other; and the line of now. */
export function LaneRuns({ pipeline, runs, shown, now }: LaneRunsProps) {
  const bars = useMemo(() => {
    const oldest = runs.toReversed().map((run) => ({
      run,
      from: run.created_ms,
      to: Math.max(run.ended_ms ?? now, run.created_ms),
    }));
    const places = rows(oldest, MOST_ROWS);
    return oldest.map((bar, index) => ({ ...bar, row: places[index] ?? 0 }));
  }, [runs, now]);
  const height = (Math.max(0, ...bars.map((bar) => bar.row)) + 1) * ROW;
  return (
    <span className="lane-track" style={{ height: height + 4 }}>
      {now >= shown.from && now <= shown.to && (
        <span className="lane-now" style={{ left: `${place(shown, now)}%` }} title="now" />
      )}
      {bars.map(({ run, from, to, row }) => {
        const { tone, word } = statusLook(run.status);
        const left = Math.max(0, place(shown, from));
        const right = Math.min(100, place(shown, to));
        const words = `${pipeline} #${run.number} ${word}, ${dateTime(from)}, ${duration(to - from)}, ${run.trigger}`;
        return (
          <Link
            key={run.id}
            to="/runs/$run"
            params={{ run: run.id }}
            preload={false}
            className={`lane-run lane-${tone}`}
            style={{
              left: `${left}%`,
              width: `max(4px, ${Math.max(0, right - left)}%)`,
              top: row * ROW + 2,
              background: `var(--${tone})`,
            }}
            aria-label={words}
            title={words}
          />
        );
      })}
    </span>
  );
}
