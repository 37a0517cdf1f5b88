import { Link } from "@tanstack/react-router";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useRef } from "react";
import type { TrackedRun } from "../../../api/types.gen";
import { number } from "../../../format/number";
import { instant } from "../../../format/time";
import { duration } from "../../../format/duration";
import { Ago } from "../../../ui/Ago";
import { Status } from "../../../ui/Status";
import { cellOf, type RunColumn } from "./columns";

interface TrackedRunTableProps {
  runs: TrackedRun[];
  columns: RunColumn[];
  sort?: string;
  onSort: (key: string) => void;
  selected: string[];
  onToggle: (id: string) => void;
}

const ROW = 30;
const HEIGHT = 380;

/** Tracked runs; only the rows in view exist, the server sorts. */
export function TrackedRunTable({ runs, columns, sort, onSort, selected, onToggle }: TrackedRunTableProps) {
  const host = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({
    count: runs.length,
    getScrollElement: () => host.current,
    estimateSize: () => ROW,
    overscan: 12,
  });
  const items = rows.getVirtualItems();
  const before = items[0]?.start ?? 0;
  const after = rows.getTotalSize() - (items.at(-1)?.end ?? 0);
  const head = (key: string, name: string) => (
    <th key={key} scope="col" aria-sort={sort === key ? "ascending" : sort === `-${key}` ? "descending" : undefined}>
      <button type="button" className="sort" onClick={() => onSort(key)} title={`sort by ${key}`}>
        {name} {sort === key ? "▲" : sort === `-${key}` ? "▼" : ""}
      </button>
    </th>
  );
  return (
    <div
      ref={host}
      className="table-scroll"
      style={{ maxHeight: HEIGHT, minHeight: Math.min(HEIGHT, (runs.length + 1) * ROW + 8) }}
      tabIndex={0}
      role="region"
      aria-label="tracked runs"
    >
      <table className="table" aria-rowcount={runs.length + 1}>
        <thead>
          <tr>
            <th scope="col">
              <span className="visually-hidden">Select</span>
            </th>
            {head("name", "Run")}
            {head("status", "Status")}
            {head("start_time", "Started")}
            <th scope="col">Took</th>
            {columns.map(({ key, name }) => head(key, name))}
          </tr>
        </thead>
        <tbody>
          {before > 0 && <tr style={{ height: before }} aria-hidden />}
          {items.map(({ index }) => {
            const run = runs[index];
            return (
              run && (
                <Row
                  key={run.id}
                  run={run}
                  columns={columns}
                  selected={selected.includes(run.id)}
                  onToggle={onToggle}
                />
              )
            );
          })}
          {after > 0 && <tr style={{ height: after }} aria-hidden />}
        </tbody>
      </table>
    </div>
  );
}

interface RowProps {
  run: TrackedRun;
  columns: RunColumn[];
  selected: boolean;
  onToggle: (id: string) => void;
}

function Row({ run, columns, selected, onToggle }: RowProps) {
  const start = instant(run.start_time);
  const end = instant(run.end_time);
  return (
    <tr aria-selected={selected}>
      <td>
        <input type="checkbox" aria-label={`select ${run.name}`} checked={selected} onChange={() => onToggle(run.id)} />
      </td>
      <td className="nowrap">
        <Link to="/tracked/$run" params={{ run: run.id }}>
          {run.name}
        </Link>
      </td>
      <td>
        <Status status={run.status} />
      </td>
      <td>
        <Ago at={run.start_time} />
      </td>
      <td className="nowrap">{start !== null && end !== null ? duration(end - start) : "–"}</td>
      {columns.map((column) => {
        const cell = cellOf(run, column);
        return (
          <td key={column.key}>
            {typeof cell === "number" ? number(cell) : (cell ?? <span className="muted">–</span>)}
          </td>
        );
      })}
    </tr>
  );
}
