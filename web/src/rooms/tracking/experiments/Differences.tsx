import { useMemo, useState } from "react";
import type { TrackedRun } from "../../../api/types.gen";
import { count } from "../../../format/number";
import { DataTable } from "../../../ui/DataTable";
import { matching } from "../../../ui/matching";
import { distinctNames } from "./curveLines";
import { differences } from "./differences";

interface DifferencesProps {
  runs: TrackedRun[];
  /** Whether what is the same everywhere is shown too. */
  same: boolean;
  onSame: (same: true | undefined) => void;
}

/** Rows that one table shows; the search finds the others. */
const MOST = 200;

/** Parameters, tags and metrics of runs beside each other. */
export function Differences({ runs, same, onSame }: DifferencesProps) {
  const [search, setSearch] = useState("");
  const names = useMemo(() => distinctNames(runs), [runs]);
  const all = useMemo(() => differences(runs, same), [runs, same]);
  const wanted = new Set(
    matching(
      all.map((row) => row.key),
      search,
    ),
  );
  const found = all.filter((row) => wanted.has(row.key));
  const rows = found.slice(0, MOST);
  if (runs.length < 2) return <p className="muted">Tick two runs or more in the table to see what differs.</p>;
  return (
    <div className="stack">
      <div className="row">
        <input
          type="search"
          className="input"
          aria-label="Search names"
          placeholder="Search names"
          value={search}
          onChange={(event) => setSearch(event.target.value)}
        />
        <label className="row small">
          <input
            type="checkbox"
            checked={!same}
            onChange={(event) => onSame(event.target.checked ? undefined : true)}
          />{" "}
          only what differs
        </label>
        <span className="muted small">
          {found.length > MOST ? `the first ${MOST} of ${count(found.length)} rows` : `${count(found.length)} rows`}
        </span>
      </div>
      {rows.length === 0 ? (
        <p className="muted">{search ? `Nothing named “${search}”.` : "These runs do not differ."}</p>
      ) : (
        <DataTable
          label="comparison"
          rows={rows}
          rowKey={(row) => row.key}
          columns={[
            { key: "name", header: "Name", value: (row) => row.name },
            { key: "what", header: "What", value: (row) => row.what },
            ...runs.map((run, index) => ({
              key: names.get(run.id) ?? run.id,
              header: names.get(run.id) ?? run.id,
              value: (row: { values: (string | undefined)[] }) => row.values[index],
            })),
          ]}
        />
      )}
    </div>
  );
}
