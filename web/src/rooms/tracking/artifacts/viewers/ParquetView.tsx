import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { VirtualTable } from "../../../../charts/table/VirtualTable";
import { count } from "../../../../format/number";
import { Answer } from "../../../../ui/Answer";
import { tableQuery } from "../queries";
import type { ViewerProps } from "./viewer";

const FIRST = 200;
const MOST = 10_000;

/** The first rows of a Parquet file, as the server reads them. */
export function ParquetView({ path, name }: ViewerProps) {
  const [limit, setLimit] = useState(FIRST);
  const query = useQuery(tableQuery(path, limit));
  return (
    <Answer query={query} rows={10}>
      {({ columns, rows, truncated }) => (
        <div className="stack" style={{ gap: 6 }}>
          <VirtualTable columns={columns} rows={rows} label={`rows of ${name}`} />
          <div className="row small muted">
            {truncated ? `the first ${count(rows.length)} rows` : `${count(rows.length)} rows`}
            {truncated && limit < MOST && (
              <button type="button" className="button" disabled={query.isFetching} onClick={() => setLimit(MOST)}>
                Read {count(MOST)}
              </button>
            )}
          </div>
        </div>
      )}
    </Answer>
  );
}
