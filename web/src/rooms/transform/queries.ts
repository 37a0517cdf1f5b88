import { queryOptions } from "@tanstack/react-query";
import { get, post, put } from "../../api/client";
import type {
  EditedFlow,
  FlowEdit,
  FlowKindView,
  FlowModel,
  FlowSummary,
  FlowView,
  PreviewFlow,
  QueryTable,
  RunPage,
  RunView,
  SqlModels,
  SqlModelView,
  SqlRequest,
  TablePreview,
  TextMap,
  WorkspaceFile,
} from "../../api/types.gen";

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

const path = encodeURIComponent;

export const flowKindsQuery = () =>
  queryOptions({
    queryKey: ["flow-kinds"],
    queryFn: ({ signal }) => get<FlowKindView[]>("/api/flow-kinds", {}, signal),
    staleTime: Infinity,
  });

export const flowsQuery = () =>
  queryOptions({ queryKey: ["flows"], queryFn: ({ signal }) => get<FlowSummary[]>("/api/flows", {}, signal) });

/** A flow as its file has it. It is edited from there on, so it is not read again by itself. */
export const flowQuery = (name: string) =>
  queryOptions({
    queryKey: ["flows", name],
    queryFn: ({ signal }) => get<FlowView>(`/api/flows/${path(name)}`, {}, signal),
    staleTime: 0,
    gcTime: 0,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
  });

export const sqlModelsQuery = () =>
  queryOptions({
    queryKey: ["datasets", "sql-models"],
    queryFn: ({ signal }) => get<SqlModels>("/api/sql-models", {}, signal),
  });

/** A model and what became of it; builds of datasets make it stale. */
export const sqlModelQuery = (name: string) =>
  queryOptions({
    queryKey: ["datasets", "sql-models", name],
    queryFn: ({ signal }) => get<SqlModelView>(`/api/sql-models/${path(name)}`, {}, signal),
  });

export const checkFlow = (yaml: string, tables: TextMap) => post<FlowModel>("/api/flow-checks", { yaml, tables });

export const editFlow = (yaml: string, edits: FlowEdit[], tables: TextMap) =>
  post<EditedFlow>("/api/flow-edits", { yaml, edits, tables });

export const saveFlow = (name: string, yaml: string, etag?: string) =>
  put<FlowView>(`/api/flows/${path(name)}`, { yaml, etag });

/** Rows of a node; they change with the text alone. */
export const nodeRowsQuery = (yaml: string, node: string, tables: TextMap, enabled: boolean) =>
  queryOptions({
    queryKey: ["flow-rows", yaml, node, tables],
    queryFn: ({ signal }) =>
      post<TablePreview>("/api/flow-previews", { yaml, node, tables, limit: 50 } satisfies PreviewFlow, signal),
    enabled,
    retry: false,
    staleTime: Infinity,
    gcTime: 60_000,
    refetchOnWindowFocus: false,
  });

/** The newest run of a pipeline that succeeded; null if there is none. */
export const lastRunQuery = (pipeline: string) =>
  queryOptions({
    queryKey: ["runs", "last", pipeline],
    queryFn: async ({ signal }) => {
      const page = await get<RunPage>("/api/runs", { pipeline, status: "succeeded", limit: 1 }, signal);
      const run = page.runs[0];
      return run ? get<RunView>(`/api/runs/${path(run.id)}`, {}, signal) : null;
    },
  });
