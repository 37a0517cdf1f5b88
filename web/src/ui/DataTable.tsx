import type { ReactNode } from "react";
import { csv } from "../format/csv";
import { save } from "./save";

export interface Column<T> {
  key: string;
  header: ReactNode;
  /** Plain value for the export; the cell shows it unless `cell` is given. */
  value: (row: T) => unknown;
  cell?: (row: T) => ReactNode;
  numeric?: boolean;
  /** Sentences, which go over several lines. */
  wrap?: boolean;
}

interface DataTableProps<T> {
  columns: Column<T>[];
  rows: readonly T[];
  rowKey: (row: T) => string;
  label: string;
  selected?: string | null;
  exportable?: boolean;
  /** On a narrow screen each row is a block of lines, with the columns' names before their values: nothing is out of sight. */
  stacked?: boolean;
}

/** A table of things, exportable as CSV. */
export function DataTable<T>(props: DataTableProps<T>) {
  const { columns, rows, rowKey, label, selected, exportable = true, stacked = false } = props;
  const download = () => {
    const names = columns.map((column) => column.key);
    save(
      `${label}.csv`,
      csv(
        names,
        rows.map((row) => columns.map((column) => column.value(row))),
      ),
      "text/csv",
    );
  };
  return (
    <div>
      <div className="table-scroll" tabIndex={0} role="region" aria-label={label}>
        <table className={stacked ? "table stacked" : "table"}>
          <thead>
            <tr>
              {columns.map((column) => (
                <th key={column.key} scope="col" className={column.numeric ? "num" : undefined}>
                  {column.header}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={rowKey(row)} aria-selected={selected === rowKey(row) || undefined}>
                {columns.map((column) => (
                  <td
                    key={column.key}
                    className={column.numeric ? "num" : column.wrap ? "wrap" : undefined}
                    data-label={stacked && typeof column.header === "string" ? column.header : undefined}
                  >
                    {column.cell ? column.cell(row) : text(column.value(row))}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {exportable && rows.length > 5 && (
        <div style={{ padding: "2px 6px" }}>
          <button type="button" className="button quiet small" onClick={download}>
            Export CSV
          </button>
        </div>
      )}
    </div>
  );
}

function text(value: unknown): ReactNode {
  if (value === null || value === undefined || value === "") return <span className="muted">–</span>;
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
