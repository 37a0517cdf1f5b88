import { duration } from "../../format/duration";
import { statusLook } from "../../ui/statusLook";
import { ChartFrame } from "../engine/ChartFrame";
import { criticalPath, type GanttStep } from "./critical";

interface GanttProps {
  steps: GanttStep[];
  now: number;
  selected?: string | null;
  onSelect?: (id: string) => void;
}

/** When each step waited and worked; the critical path has a bold name. */
export function Gantt({ steps, now, selected, onSelect }: GanttProps) {
  const begun = steps.filter((step) => step.start !== null);
  const from = Math.min(...begun.map((step) => step.ready ?? step.start ?? now));
  const to = Math.max(...begun.map((step) => step.end ?? now), from + 1);
  const critical = criticalPath(steps);
  const share = (at: number) => `${(Math.max(0, at - from) / (to - from)) * 100}%`;
  const data = {
    columns: ["step", "status", "queued_ms", "work_ms", "critical"],
    rows: begun.map((step) => [step.id, step.status, waited(step), worked(step, now), critical.has(step.id)]),
  };
  if (begun.length === 0) return <p className="muted">No step has started.</p>;
  return (
    <ChartFrame
      title="Timeline"
      note={`${duration(to - from)}; bold is the critical path, hatched is waiting`}
      data={data}
    >
      <div style={{ display: "flex", flexDirection: "column", gap: 2 }}>
        {begun
          .toSorted((a, b) => (a.start ?? 0) - (b.start ?? 0))
          .map((step) => (
            <button
              key={step.id}
              type="button"
              onClick={() => onSelect?.(step.id)}
              aria-pressed={selected === step.id}
              title={`${step.id}: waited ${duration(waited(step))}, worked ${duration(worked(step, now))}`}
              className="gantt-row"
            >
              <span className="gantt-name" style={{ fontWeight: critical.has(step.id) ? 700 : 400 }}>
                {step.id}
              </span>
              <span className="gantt-track">
                {step.ready !== null && step.start !== null && (
                  <span
                    className="gantt-wait"
                    style={{ left: share(step.ready), width: `calc(${share(step.start)} - ${share(step.ready)})` }}
                  />
                )}
                <span
                  className="gantt-bar"
                  style={{
                    left: share(step.start ?? from),
                    width: `max(3px, calc(${share(step.end ?? now)} - ${share(step.start ?? from)}))`,
                    background: `var(--${statusLook(step.status).tone})`,
                  }}
                />
              </span>
              <span className="gantt-time mono">{duration(worked(step, now))}</span>
            </button>
          ))}
      </div>
    </ChartFrame>
  );
}

function waited(step: GanttStep): number {
  return step.ready === null || step.start === null ? 0 : Math.max(0, step.start - step.ready);
}

function worked(step: GanttStep, now: number): number {
  return step.start === null ? 0 : (step.end ?? now) - step.start;
}
