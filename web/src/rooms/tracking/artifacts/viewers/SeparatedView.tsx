import { useInfiniteQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { VirtualTable } from "../../../../charts/table/VirtualTable";
import { count } from "../../../../format/number";
import { bytes } from "../../../../format/bytes";
import { separated, typed } from "../../../../format/separated";
import { Answer } from "../../../../ui/Answer";
import { partsQuery } from "../queries";
import type { ViewerProps } from "./viewer";

/** Bytes that a page parses without a pause. */
const MOST = 16_000_000;

/** A table of comma or tab separated values; long ones come part by part. */
export function SeparatedView({ path, name, size }: ViewerProps) {
  const query = useInfiniteQuery(partsQuery(path, size));
  const { data, hasNextPage } = query;
  const table = useMemo(() => {
    const decoder = new TextDecoder();
    const text = (data?.pages ?? []).map(({ bytes: part }) => decoder.decode(part, { stream: true })).join("");
    const [head = [], ...rows] = separated(text, name.toLowerCase().endsWith(".tsv") ? "\t" : ",", !hasNextPage);
    return { columns: uniqueNames(head), rows: typed(rows, head.length) };
  }, [data, hasNextPage, name]);
  const last = data?.pages.at(-1);
  const read = last ? last.from + last.bytes.length : 0;
  return (
    <Answer query={query} rows={10}>
      {() => (
        <div className="stack" style={{ gap: 6 }}>
          <VirtualTable columns={table.columns} rows={table.rows} label={`rows of ${name}`} />
          <div className="row small muted">
            {count(table.rows.length)} rows{hasNextPage && `, ${bytes(read)} of ${bytes(last?.total)} read`}
            {hasNextPage && read < MOST && (
              <button
                type="button"
                className="button"
                disabled={query.isFetchingNextPage}
                onClick={() => void query.fetchNextPage()}
              >
                Load more
              </button>
            )}
          </div>
        </div>
      )}
    </Answer>
  );
}

/** Names of columns, told apart if they repeat; a column without one has its number. */
function uniqueNames(head: readonly string[]): { name: string }[] {
  const used = new Set<string>();
  return head.map((given, index) => {
    let name = given || `column ${index + 1}`;
    if (used.has(name)) name = `${name} (${index + 1})`;
    used.add(name);
    return { name };
  });
}
