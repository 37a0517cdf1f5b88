import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";
import { get, send } from "../../../api/client";
import type { PromptPage, PromptView } from "../../../api/types.gen";

const PAGE = 100;

/** Prompts by name, by page. */
export const promptPagesQuery = (filter: string) =>
  infiniteQueryOptions({
    queryKey: ["prompts", "pages", filter],
    queryFn: ({ pageParam, signal }) =>
      get<PromptPage>("/api/prompts", { filter, limit: PAGE, after: pageParam }, signal),
    initialPageParam: "",
    getNextPageParam: (page) => page.next,
    placeholderData: keepPreviousData,
  });

export const promptQuery = (name: string) =>
  queryOptions({
    queryKey: ["prompts", name],
    queryFn: ({ signal }) => get<PromptView>(`/api/prompts/${encodeURIComponent(name)}`, {}, signal),
  });

/** Points an alias at a version, from wherever it points now. */
export const setAlias = (name: string, alias: string, version: number) =>
  send("POST", "/api/2.0/mlflow/registered-models/alias", { name, alias, version: String(version) });

export const removeAlias = (name: string, alias: string) =>
  send("DELETE", "/api/2.0/mlflow/registered-models/alias", { name, alias });
