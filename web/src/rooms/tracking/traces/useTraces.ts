import { useInfiniteQuery } from "@tanstack/react-query";
import { useCallback, useMemo, useState } from "react";
import type { TraceSummary } from "../../../api/types.gen";
import type { TracesSearch } from "../search";
import { tracePagesQuery } from "./queries";

export interface Traces {
  /** What was read so far; what was asked last if the newest question has no answer. */
  rows: TraceSummary[] | undefined;
  error: unknown;
  /** The rows are of an earlier question. */
  old: boolean;
  more: { has: boolean; loading: boolean; failed: boolean; read: () => void };
  retry: () => void;
}

/** Traces, read on as the reader goes down. */
export function useTraces(asked: TracesSearch): Traces {
  const query = useInfiniteQuery(tracePagesQuery(asked));
  const [good, setGood] = useState(query.data);
  if (query.data && query.data !== good) setGood(query.data);
  const data = query.data ?? good;
  const rows = useMemo(() => data?.pages.flatMap((page) => page.traces), [data]);
  const { fetchNextPage, refetch } = query;
  const read = useCallback(() => void fetchNextPage({ cancelRefetch: false }), [fetchNextPage]);
  return {
    rows,
    error: query.isFetchNextPageError ? null : query.error,
    old: query.isPlaceholderData || (query.data === undefined && data !== undefined),
    more: {
      has: query.hasNextPage && query.data !== undefined,
      loading: query.isFetchingNextPage,
      failed: query.isFetchNextPageError,
      read,
    },
    retry: () => void refetch(),
  };
}
