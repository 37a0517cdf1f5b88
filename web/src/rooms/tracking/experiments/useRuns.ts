import { useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useMemo, useState } from "react";
import type { TrackedRun } from "../../../api/types.gen";
import { LIVE_PAGES, runPagesQuery, type RunsAsked, runsChangedQuery } from "../queries";

/** Each page names everything that its runs logged, mostly the same. */
const PAGES_WITH_NAMES = 5;

export interface Runs {
  /** What was read so far; what was asked last if the newest question has no answer. */
  rows: TrackedRun[] | undefined;
  total: number;
  metricKeys: string[];
  paramKeys: string[];
  error: unknown;
  /** The rows are of an earlier question. */
  old: boolean;
  more: { has: boolean; loading: boolean; failed: boolean; read: () => void };
  /** Runs have changed since the first page was read, and too much was read to read it all again. */
  changed: boolean;
  /** Begins again at the first page. */
  renew: () => void;
}

/** The runs of a table, read on as the reader goes down. */
export function useRuns(asked: RunsAsked): Runs {
  const client = useQueryClient();
  const options = runPagesQuery(asked);
  const { queryKey } = options;
  const query = useInfiniteQuery(options);
  const changedAt = useQuery(runsChangedQuery()).data ?? 0;
  const [good, setGood] = useState(query.data);
  if (query.data && query.data !== good) setGood(query.data);
  const data = query.data ?? good;
  const first = data?.pages[0];
  const rows = useMemo(() => data?.pages.flatMap((page) => page.runs), [data]);
  const names = useMemo(() => {
    const pages = data?.pages.slice(0, PAGES_WITH_NAMES) ?? [];
    return {
      metricKeys: [...new Set(pages.flatMap((page) => page.metric_keys))],
      paramKeys: [...new Set(pages.flatMap((page) => page.param_keys))],
    };
  }, [data]);
  const { fetchNextPage } = query;
  const read = useCallback(() => void fetchNextPage({ cancelRefetch: false }), [fetchNextPage]);
  return {
    rows,
    total: data?.pages.at(-1)?.total ?? 0,
    ...names,
    error: query.isFetchNextPageError ? null : query.error,
    old: query.isPlaceholderData || (query.data === undefined && data !== undefined),
    more: {
      has: query.hasNextPage && query.data !== undefined,
      loading: query.isFetchingNextPage,
      failed: query.isFetchNextPageError,
      read,
    },
    changed: (data?.pages.length ?? 0) > LIVE_PAGES && changedAt > (first?.read_at ?? 0),
    renew: () => void client.resetQueries({ queryKey }),
  };
}
