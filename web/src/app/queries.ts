import { queryOptions } from "@tanstack/react-query";
import { get } from "../api/client";
import type { SearchHit, WorkspaceView } from "../api/types.gen";

export const workspaceQuery = () =>
  queryOptions({
    queryKey: ["workspace"],
    queryFn: ({ signal }) => get<WorkspaceView>("/api/workspace", {}, signal),
    staleTime: Infinity,
  });

export const searchQuery = (text: string) =>
  queryOptions({
    queryKey: ["search", text],
    queryFn: ({ signal }) => get<SearchHit[]>("/api/search", { q: text, limit: 20 }, signal),
    enabled: text.trim().length > 0,
    placeholderData: (before) => before,
  });
