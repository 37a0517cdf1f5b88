import { useVirtualizer } from "@tanstack/react-virtual";
import { useRef } from "react";
import { count } from "../../format/number";
import { value } from "../../format/value";

interface VirtualTableProps {
  columns: readonly { name: string; type?: string }[];
  rows: readonly (readonly unknown[])[];
  label: string;
  /** The row that is chosen, by its number. */
  selected?: number;
  onSelect?: (row: number) => void;
  /** A cell that is not plain text; undefined shows it plain. */
  cell?: (row: number, column: number) => React.ReactNode;
}

const ROW = 30;
/** Columns beyond these are not drawn; the file has them. */
const MOST_COLUMNS = 300;
const NUMERIC = /int|float|double|decimal|long/i;

/** A table of any number of rows; only those in sight exist. */
export function VirtualTable({ columns, rows, label, selected, onSelect, cell }: VirtualTableProps) {
  const host = useRef<HTMLDivElement>(null);
  const lines = useVirtualizer({
    count: rows.length,
    getScrollElement: () => host.current,
    estimateSize: () => ROW,
    overscan: 12,
  });
  const shown = columns.slice(0, MOST_COLUMNS);
  const items = lines.getVirtualItems();
  const above = items[0]?.start ?? 0;
  const below = lines.getTotalSize() - (items.at(-1)?.end ?? 0);
  return (
    <>
      <div ref={host} className="virtual-table table-scroll" tabIndex={0} role="region" aria-label={label}>
        <table className="table" aria-rowcount={rows.length + 1}>
          <thead>
            <tr>
              {shown.map((column, at) => (
                <th key={column.name} scope="col" className={numeric(column.type, rows[0]?.[at]) ? "num" : undefined}>
                  {column.name} {column.type && <span style={{ fontWeight: 400 }}>{column.type}</span>}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {above > 0 && <tr style={{ height: above }} aria-hidden />}
            {items.map(({ index }) => (
              <tr
                key={index}
                aria-rowindex={index + 2}
                aria-selected={selected === index || undefined}
                style={onSelect && { cursor: "pointer" }}
                onClick={onSelect && (() => onSelect(index))}
              >
                {shown.map((column, at) => (
                  <td
                    key={column.name}
                    className={typeof rows[index]?.[at] === "number" ? "num" : "nowrap"}
                    title={plain(rows[index]?.[at])}
                  >
                    {cell?.(index, at) ?? content(rows[index]?.[at])}
                  </td>
                ))}
              </tr>
            ))}
            {below > 0 && <tr style={{ height: below }} aria-hidden />}
          </tbody>
        </table>
      </div>
      {columns.length > MOST_COLUMNS && (
        <p className="muted small">
          The first {count(MOST_COLUMNS)} of {count(columns.length)} columns.
        </p>
      )}
    </>
  );
}

/** Whether a column is set to the right: by its type or, without one, by what begins it. */
function numeric(type: string | undefined, first: unknown): boolean {
  return type === undefined ? typeof first === "number" : NUMERIC.test(type);
}

function plain(cell: unknown): string {
  return typeof cell === "string" ? cell.slice(0, 2000) : JSON.stringify(cell)?.slice(0, 2000);
}

/** Whole numbers plain (they may be years or keys), others shortened. */
function content(cell: unknown): React.ReactNode {
  if (cell === null || cell === undefined) return <span className="muted">null</span>;
  if (typeof cell === "number" && Number.isInteger(cell)) return String(cell);
  return typeof cell === "string" ? cell.slice(0, 400) : value(cell).slice(0, 400);
}
