import { queryOptions } from "@tanstack/react-query";
import { get, post } from "../../api/client";
import type { QueryTable, SqlRequest, TablePreview, WorkspaceFile } from "../../api/types.gen";

/** The datasets with their columns. */
export const queryTablesQuery = () =>
  queryOptions({
    queryKey: ["datasets", "tables"],
    queryFn: ({ signal }) => get<QueryTable[]>("/api/sql/tables", {}, signal),
  });

/** What lies in a folder of the workspace. */
export const filesQuery = (folder: string) =>
  queryOptions({
    queryKey: ["files", folder],
    queryFn: ({ signal }) => get<WorkspaceFile[]>("/api/files", { folder }, signal),
  });

/** The answer to a query; it is asked once, and again only if somebody says so. */
export const sqlQuery = (request: SqlRequest | null) =>
  queryOptions({
    queryKey: ["sql", request],
    queryFn: ({ signal }) => post<TablePreview>("/api/sql", request, signal),
    enabled: request !== null,
    staleTime: Infinity,
    gcTime: 60_000,
    retry: false,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
  });
