import { count } from "../../format/number";
import { value } from "../../format/value";
import { MiniHistogram } from "../mini/MiniHistogram";
import { NullBar } from "../mini/NullBar";

export interface PreviewProfile {
  name: string;
  nulls: number;
  distinct: number;
  histogram: { count: number }[];
  top: { value: string | null; count: number }[];
}

interface TablePreviewProps {
  columns: { name: string; type: string }[];
  rows: unknown[][];
  label: string;
  profile?: { rows: number; columns: PreviewProfile[] } | null;
  maxHeight?: number;
}

const NUMERIC = /int|float|double|decimal|long/i;

/** Rows of a table; each header has its column's type, shape and nulls. */
export function TablePreview({ columns, rows, label, profile, maxHeight = 560 }: TablePreviewProps) {
  const byName = new Map((profile?.columns ?? []).map((column) => [column.name, column]));
  return (
    <div className="table-scroll" style={{ maxHeight }} tabIndex={0} role="region" aria-label={label}>
      <table className="table">
        <thead>
          <tr>
            {columns.map((column) => {
              const known = byName.get(column.name);
              return (
                <th key={column.name} scope="col" style={{ verticalAlign: "top", padding: "6px 10px" }}>
                  <div style={{ color: "var(--text)" }}>{column.name}</div>
                  <div style={{ fontWeight: 400 }}>{column.type}</div>
                  {known && <Shape profile={known} rows={profile?.rows ?? 0} />}
                </th>
              );
            })}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, index) => (
            // oxlint-disable-next-line react/no-array-index-key
            <tr key={index}>
              {columns.map((column, at) => (
                <td key={column.name} className={NUMERIC.test(column.type) ? "num" : "nowrap"} title={raw(row[at])}>
                  {row[at] === null || row[at] === undefined ? <span className="muted">null</span> : shown(row[at])}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Shape({ profile, rows }: { profile: PreviewProfile; rows: number }) {
  const bins = profile.histogram.length > 0 ? profile.histogram : profile.top;
  const first = profile.top[0];
  const label =
    profile.histogram.length > 0
      ? `distribution of ${profile.name}`
      : `${count(profile.distinct)} values${first ? `, most often ${first.value ?? "null"}` : ""}`;
  return (
    <>
      {bins.length > 0 && <MiniHistogram counts={bins.map((bin) => bin.count)} label={label} />}
      <NullBar nulls={profile.nulls} rows={rows} />
    </>
  );
}

function raw(cell: unknown): string {
  return typeof cell === "string" ? cell : JSON.stringify(cell);
}

/** Whole numbers plain (they may be years or keys), others shortened. */
function shown(cell: unknown): string {
  return typeof cell === "number" && Number.isInteger(cell) ? String(cell) : value(cell);
}
