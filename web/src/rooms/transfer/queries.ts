import { queryOptions } from "@tanstack/react-query";
import { address, get, post, put, remove } from "../../api/client";
import type {
  ConnectionsView,
  CopyPreview,
  DatasetSummary,
  KindView,
  RunSummary,
  RunView,
  SaveConnection,
  StartCopy,
  TriedConnection,
  TryConnection,
  WorkspaceFile,
} from "../../api/types.gen";

const path = encodeURIComponent;

export const connectionsQuery = () =>
  queryOptions({
    queryKey: ["connections"],
    queryFn: ({ signal }) => get<ConnectionsView>("/api/connections", {}, signal),
  });

export const saveConnection = (name: string, wanted: SaveConnection) =>
  put<ConnectionsView>(`/api/connections/${path(name)}`, wanted);

export const removeConnection = (name: string, etag: string | null) =>
  remove<ConnectionsView>(address(`/api/connections/${path(name)}`, { etag }));

export const tryConnection = (wanted: TryConnection) => post<TriedConnection>("/api/connection-tests", wanted);

/** The schema of the step `copy`. */
export const copySchemaQuery = () =>
  queryOptions({
    queryKey: ["kinds"],
    queryFn: ({ signal }) => get<KindView[]>("/api/kinds", {}, signal),
    staleTime: Infinity,
    select: (kinds) => kinds.find(({ family, name }) => family === "step" && name === "copy")?.schema ?? {},
  });

/** A look at a copy; asked once for each config. */
export const copyRowsQuery = (copy: Record<string, unknown>, enabled: boolean) =>
  queryOptions({
    queryKey: ["copy-rows", copy],
    queryFn: ({ signal }) => post<CopyPreview>("/api/copy-previews", { copy, limit: 50 }, signal),
    enabled,
    retry: false,
    staleTime: Infinity,
    gcTime: 300_000,
    refetchOnWindowFocus: false,
  });

export const startCopy = (wanted: StartCopy) => post<RunSummary>("/api/copies", wanted);

const OVER = ["succeeded", "failed", "cancelled"];

/** A run that was started here, looked at until it is over. */
export const copyRunQuery = (run: string) =>
  queryOptions({
    queryKey: ["runs", run],
    queryFn: ({ signal }) => get<RunView>(`/api/runs/${path(run)}`, {}, signal),
    refetchInterval: ({ state }) => (state.data && OVER.includes(state.data.run.status) ? false : 700),
  });

export const datasetNamesQuery = () =>
  queryOptions({
    queryKey: ["datasets"],
    queryFn: ({ signal }) => get<DatasetSummary[]>("/api/datasets", {}, signal),
    select: (all) => all.map(({ name }) => name),
  });

export const filesQuery = (folder: string) =>
  queryOptions({
    queryKey: ["files", folder],
    queryFn: ({ signal }) => get<WorkspaceFile[]>("/api/files", { folder }, signal),
  });
