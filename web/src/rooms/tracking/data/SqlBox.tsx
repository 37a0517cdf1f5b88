import { useMutation } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { TablePreview } from "../../../charts/table/TablePreview";
import { csv } from "../../../format/csv";
import { duration } from "../../../format/duration";
import { plural } from "../../../format/number";
import { explain } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { CodeView } from "../../../ui/CodeView";
import { Command } from "../../../ui/Command";
import { Failure } from "../../../ui/Failure";
import { save } from "../../../ui/save";
import { runSql } from "../queries";

/** SQL over every dataset by its name. The query stands in the address. */
export function SqlBox({ example }: { example: string }) {
  const search = useSearch({ from: "/data" });
  const navigate = useNavigate({ from: "/data" });
  const [typed, setTyped] = useState<string | null>(search.sql ?? null);
  const text = typed ?? example;
  const query = useMutation({ mutationFn: runSql });
  const run = () => {
    query.mutate(text);
    void navigate({ search: { sql: text }, replace: true });
  };
  const rows = query.data;
  return (
    <Card
      title="SQL"
      actions={
        <>
          {rows && (
            <span className="muted small">
              {plural(rows.rows.length, "row")}
              {rows.truncated ? " (cut off)" : ""} in {duration(rows.elapsed_ms)}
            </span>
          )}
          {rows && (
            <button
              type="button"
              className="button"
              onClick={() =>
                save(
                  "query.csv",
                  csv(
                    rows.columns.map((column) => column.name),
                    rows.rows,
                  ),
                  "text/csv",
                )
              }
            >
              Export CSV
            </button>
          )}
          <button type="button" className="button primary" disabled={query.isPending} onClick={run}>
            {query.isPending ? "Running…" : "Run"}
          </button>
        </>
      }
    >
      <div className="stack">
        <CodeView text={text} language="sql" label="SQL, Ctrl-Enter runs it" onChange={setTyped} onSubmit={run} />
        {query.error && <Failure problem={explain(query.error)} />}
        {rows && <TablePreview columns={rows.columns} rows={rows.rows} label="rows of the query" maxHeight={420} />}
        <Command line={`millrace sql "${text.replaceAll('"', '\\"')}"`} />
      </div>
    </Card>
  );
}
