import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { VirtualTable } from "../../../../charts/table/VirtualTable";
import { count } from "../../../../format/number";
import { Answer } from "../../../../ui/Answer";
import { CodeView } from "../../../../ui/CodeView";
import { wholeQuery } from "../queries";
import { jsonTable } from "./jsonTable";
import type { ViewerProps } from "./viewer";

/** A JSON document, set out; what is a table (`mlflow.log_table`) as one. */
export function JsonView({ path, name, size }: ViewerProps) {
  const query = useQuery(wholeQuery(path, size));
  return (
    <Answer query={query} rows={10}>
      {(text) => <Document key={path} text={text} name={name} />}
    </Answer>
  );
}

/** Text that is set out anew; a longer one is shown as it is. */
const MOST = 2_000_000;

function Document({ text, name }: { text: string; name: string }) {
  const [plain, setPlain] = useState(false);
  const { table, shown } = useMemo(() => read(text), [text]);
  return (
    <div className="stack" style={{ gap: 6 }}>
      {table && (
        <div className="row small">
          <span className="muted">{count(table.rows.length)} rows</span>
          <label className="row">
            <input type="checkbox" checked={plain} onChange={(event) => setPlain(event.target.checked)} /> as text
          </label>
        </div>
      )}
      {table && !plain ? (
        <VirtualTable columns={table.columns} rows={table.rows} label={`rows of ${name}`} />
      ) : (
        <CodeView text={shown} language="yaml" label={`content of ${name}`} />
      )}
    </div>
  );
}

function read(text: string) {
  try {
    const value: unknown = JSON.parse(text);
    return { table: jsonTable(value), shown: text.length <= MOST ? JSON.stringify(value, null, 2) : text };
  } catch {
    // Python writes NaN; then it is shown as it is.
    return { table: null, shown: text };
  }
}
