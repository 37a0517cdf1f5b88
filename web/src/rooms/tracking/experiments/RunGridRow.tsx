import { Link } from "@tanstack/react-router";
import { memo } from "react";
import type { TrackedRun } from "../../../api/types.gen";
import { duration } from "../../../format/duration";
import { number } from "../../../format/number";
import { ago, dateTime, instant } from "../../../format/time";
import { Status } from "../../../ui/Status";
import { cellOf, type RunColumn } from "./columns";

interface RunGridRowProps {
  run: TrackedRun;
  /** From 2: the head is 1. */
  rowIndex: number;
  columns: (RunColumn & { index: number })[];
  before: boolean;
  after: boolean;
  selected: boolean;
  /** The time, to the minute or so. */
  now: number;
  onToggle: (id: string) => void;
}

/** One run. Drawn again only if something of it has changed: rows pass by the hundred. */
export const RunGridRow = memo(function RunGridRow(props: RunGridRowProps) {
  const { run, rowIndex, columns, before, after, selected, now, onToggle } = props;
  const start = instant(run.start_time);
  const end = instant(run.end_time);
  return (
    <tr aria-selected={selected} aria-rowindex={rowIndex}>
      <td className="pin tick">
        <input type="checkbox" aria-label={`select ${run.name}`} checked={selected} onChange={() => onToggle(run.id)} />
      </td>
      <td className="pin name">
        <Link to="/tracked/$run" params={{ run: run.id }} title={run.name} preload={false}>
          {run.name}
        </Link>
      </td>
      <td>
        <Status status={run.status} />
      </td>
      <td title={dateTime(run.start_time)}>{ago(run.start_time, now)}</td>
      <td>{start !== null && end !== null ? duration(end - start) : "–"}</td>
      {before && <td aria-hidden />}
      {columns.map((column) => {
        const cell = cellOf(run, column);
        return (
          <td
            key={column.key}
            className={column.family === "metrics" ? "num" : undefined}
            aria-colindex={column.index}
            title={cell === undefined ? undefined : String(cell)}
          >
            {typeof cell === "number" ? number(cell) : (cell ?? <span className="muted">–</span>)}
          </td>
        );
      })}
      {after && <td aria-hidden />}
    </tr>
  );
});
