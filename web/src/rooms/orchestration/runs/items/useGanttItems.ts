import { useInfiniteQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import type { RunView } from "../../../../api/types.gen";
import type { GanttItems } from "../../../../charts/gantt/rows";
import { isOver, itemsQuery } from "../../queries";
import { ganttOfItems } from "../model";

const PAGE = 100;

/** The items of the step that is open in the timeline, a page at a time. */
export function useGanttItems(view: RunView, opened: string | null): GanttItems | undefined {
  const step = view.steps.find(({ id }) => id === opened);
  const { data, hasNextPage, isFetching, fetchNextPage } = useInfiniteQuery({
    ...itemsQuery(view.run.id, opened ?? "", { size: PAGE, over: isOver(step?.status ?? "succeeded") }),
    enabled: opened !== null,
  });
  const items = useMemo(() => ganttOfItems(data?.pages.flatMap((page) => page.items) ?? []), [data]);
  if (opened === null) return undefined;
  return {
    of: opened,
    items,
    more: hasNextPage ? () => void fetchNextPage() : undefined,
    loading: isFetching && (items.length === 0 || hasNextPage),
  };
}
