import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useSyncExternalStore } from "react";
import type { SqlRequest } from "../../../api/types.gen";
import { sqlQuery } from "../queries";
import type { SqlSearch } from "../search";
import { history } from "./history";
import { paramCount, paramsOf, paramValue } from "./params";

export const USUAL_ROWS = 1000;
export const USUAL_SECONDS = 30;

/** The query of the address: its answer, and how to run another one. */
export function useSql(search: SqlSearch, change: (next: SqlSearch) => void) {
  const client = useQueryClient();
  const past = useSyncExternalStore(history.subscribe, history.now);
  const { q, params, rows, seconds } = search;
  const request: SqlRequest | null =
    q === undefined
      ? null
      : {
          sql: q,
          params: paramsOf(params).slice(0, paramCount(q)).map(paramValue),
          limit: rows ?? USUAL_ROWS,
          timeout_ms: (seconds ?? USUAL_SECONDS) * 1000,
        };
  const query = useQuery(sqlQuery(request));
  const { data, error, dataUpdatedAt, errorUpdatedAt, isFetching } = query;
  const ended = data ? dataUpdatedAt : error ? errorUpdatedAt : 0;
  useEffect(() => {
    if (q === undefined || ended === 0 || isFetching) return;
    history.add({
      sql: q,
      at: ended,
      rows: data?.rows.length,
      elapsed_ms: data?.elapsed_ms,
      failed: error ? true : undefined,
    });
  }, [q, ended, isFetching, data, error]);
  return {
    query,
    request,
    history: past,
    stopped: request !== null && query.isPending && !query.isFetching,
    run: (text: string, typed: readonly string[]) => {
      const values = typed.slice(0, paramCount(text)).map(paramValue);
      const next = { q: text, params: values.length > 0 ? JSON.stringify(values) : undefined };
      const same = next.q === q && next.params === params;
      if (same) void query.refetch();
      else change(next);
    },
    stop: () => void client.cancelQueries({ queryKey: sqlQuery(request).queryKey }),
    forget: history.forget,
  };
}

export type Sql = ReturnType<typeof useSql>;
