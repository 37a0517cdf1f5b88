import { useVirtualizer } from "@tanstack/react-virtual";
import { type ReactNode, useEffect, useRef } from "react";
import type { TraceSummary } from "../../../api/types.gen";
import { nextSort } from "../experiments/sort";
import { COLUMNS, type TraceColumn } from "./columns";
import type { Traces } from "./useTraces";

interface TraceGridProps {
  traces: Traces;
  sort?: string;
  onSort: (sort: string | undefined) => void;
  /** Adds a condition to the filter. */
  onNarrow: (clause: string) => void;
}

const ROW = 30;
/** The head and a bar that scrolls. */
const FRAME = 48;
/** Rows below those in sight at which the next page is asked for. */
const AHEAD = 40;
const WIDTH = COLUMNS.reduce((sum, { width }) => sum + width, 0);

/** Traces; only the rows in sight exist, and pages come as the reader nears them. */
export function TraceGrid({ traces, sort, onSort, onNarrow }: TraceGridProps) {
  const host = useRef<HTMLDivElement>(null);
  const list = traces.rows ?? [];
  const { more } = traces;
  const rows = useVirtualizer({
    count: list.length,
    getScrollElement: () => host.current,
    estimateSize: () => ROW,
    overscan: 12,
  });
  const items = rows.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  const wanted = more.has && !more.loading && !more.failed && last >= list.length - AHEAD;
  const { read } = more;
  useEffect(() => {
    if (wanted) read();
  }, [wanted, read]);
  const above = items[0]?.start ?? 0;
  const below = rows.getTotalSize() - (items.at(-1)?.end ?? 0);
  return (
    <div
      ref={host}
      className="run-grid"
      tabIndex={0}
      role="region"
      aria-label="traces"
      aria-busy={traces.old}
      style={{ maxHeight: list.length * ROW + FRAME }}
    >
      <table className="table" style={{ width: WIDTH }} aria-rowcount={more.has ? -1 : list.length + 1}>
        <colgroup>
          {COLUMNS.map(({ key, width }) => (
            <col key={key} style={{ width }} />
          ))}
        </colgroup>
        <thead>
          <tr>
            {COLUMNS.map((column) => (
              <Head key={column.key} column={column} sort={sort} onSort={onSort} />
            ))}
          </tr>
        </thead>
        <tbody>
          {above > 0 && <tr style={{ height: above }} aria-hidden />}
          {items.map(({ index }) => {
            const trace = list[index];
            return trace && <Line key={index} trace={trace} at={index + 2} onNarrow={onNarrow} />;
          })}
          {below > 0 && <tr style={{ height: below }} aria-hidden />}
        </tbody>
      </table>
    </div>
  );
}

function Line({ trace, at, onNarrow }: { trace: TraceSummary; at: number; onNarrow: (clause: string) => void }) {
  return (
    <tr aria-rowindex={at}>
      {COLUMNS.map((column) => (
        <td
          key={column.key}
          className={column.numeric ? "num" : undefined}
          title={column.cell ? undefined : String(column.value(trace) ?? "")}
        >
          {shown(column, trace, onNarrow)}
        </td>
      ))}
    </tr>
  );
}

function shown(column: TraceColumn, trace: TraceSummary, onNarrow: (clause: string) => void): ReactNode {
  const content = column.cell ? column.cell(trace, onNarrow) : column.value(trace);
  return content || content === 0 ? content : <span className="muted">–</span>;
}

interface HeadProps {
  column: TraceColumn;
  sort?: string;
  onSort: (sort: string | undefined) => void;
}

function Head({ column, sort, onSort }: HeadProps) {
  const { sort: by, name, numeric } = column;
  const direction = sort === by ? "ascending" : sort === `-${by}` ? "descending" : undefined;
  return (
    <th scope="col" className={numeric ? "num" : undefined} aria-sort={direction}>
      {by ? (
        <button type="button" className="sort" onClick={() => onSort(nextSort(sort, by, false))}>
          {name} {direction && <span className="sorted">{direction === "ascending" ? "▲" : "▼"}</span>}
        </button>
      ) : (
        name
      )}
    </th>
  );
}
