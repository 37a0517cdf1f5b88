import { VirtualTable } from "../../../charts/table/VirtualTable";
import type { TablePreview } from "../../../api/types.gen";
import { csv } from "../../../format/csv";
import { duration } from "../../../format/duration";
import { plural } from "../../../format/number";
import { explain } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { Failure } from "../../../ui/Failure";
import { Loading } from "../../../ui/Loading";
import { save } from "../../../ui/save";
import { Tabs } from "../../../ui/Tabs";
import type { SqlSearch } from "../search";
import { ResultChart } from "./ResultChart";
import type { Sql } from "./useSql";

interface ResultCardProps {
  sql: Sql;
  search: SqlSearch;
  onChange: (next: SqlSearch) => void;
}

/** What a query gave: rows, a picture, or why there are none. */
export function ResultCard({ sql, search, onChange }: ResultCardProps) {
  const { data, error, isFetching } = sql.query;
  if (sql.request === null) return null;
  const shown = !isFetching && !error ? data : undefined;
  return (
    <Card
      title={
        <span aria-live="polite">{isFetching ? "Running…" : error ? "Failed" : shown ? said(shown) : "Stopped"}</span>
      }
      actions={
        shown && (
          <button type="button" className="button" onClick={() => save("query.csv", text(shown), "text/csv")}>
            Export CSV
          </button>
        )
      }
    >
      {isFetching && <Loading rows={8} label="The query runs" />}
      {!isFetching && error && <Failure problem={explain(error)} />}
      {sql.stopped && <p className="muted">The query was stopped before it had an answer.</p>}
      {shown && (
        <Tabs
          label="result"
          value={search.view ?? "rows"}
          onChange={(view) => onChange({ view: view === "rows" ? undefined : view })}
          tabs={[
            { key: "rows", label: "Rows" },
            { key: "chart", label: "Chart" },
          ]}
        >
          {search.view === "chart" ? (
            <ResultChart table={shown} search={search} onChange={onChange} />
          ) : shown.columns.length === 0 ? (
            <p className="muted">The answer has no columns.</p>
          ) : (
            <VirtualTable columns={shown.columns} rows={shown.rows} label="rows of the query" />
          )}
        </Tabs>
      )}
    </Card>
  );
}

function said(table: TablePreview): string {
  const rows = plural(table.rows.length, "row");
  return `${table.truncated ? `The first ${rows}` : rows} in ${duration(table.elapsed_ms)}`;
}

function text(table: TablePreview): string {
  return csv(
    table.columns.map((column) => column.name),
    table.rows,
  );
}
