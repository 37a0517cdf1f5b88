import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { get, post } from "../../api/client";
import type {
  ArtifactFile,
  DatasetSummary,
  DatasetView,
  ExperimentSummary,
  LineageView,
  MetricCurve,
  ModelSummary,
  ModelView,
  TablePreview,
  TrackedRun,
  TrackedRunPage,
} from "../../api/types.gen";

const path = encodeURIComponent;

export const experimentsQuery = () =>
  queryOptions({
    queryKey: ["experiments"],
    queryFn: ({ signal }) => get<ExperimentSummary[]>("/api/experiments", {}, signal),
  });

export const trackedRunsQuery = (experiment: string, sort: string | undefined, limit: number) =>
  queryOptions({
    queryKey: ["tracked-runs", "list", experiment, sort, limit],
    queryFn: ({ signal }) => get<TrackedRunPage>(`/api/experiments/${path(experiment)}/runs`, { sort, limit }, signal),
    placeholderData: keepPreviousData,
  });

export const trackedRunQuery = (id: string) =>
  queryOptions({
    queryKey: ["tracked-runs", id],
    queryFn: ({ signal }) => get<TrackedRun>(`/api/tracked-runs/${path(id)}`, {}, signal),
  });

export const curvesQuery = (runs: string[], keys: string[]) =>
  queryOptions({
    queryKey: ["tracked-runs", "curves", runs, keys],
    queryFn: ({ signal }) =>
      get<MetricCurve[]>("/api/metrics", { runs: runs.join(","), keys: keys.join(","), points: 2000 }, signal),
    enabled: runs.length > 0 && keys.length > 0,
    placeholderData: keepPreviousData,
  });

export const artifactsQuery = (run: string) =>
  queryOptions({
    queryKey: ["tracked-runs", run, "artifacts"],
    queryFn: ({ signal }) => get<ArtifactFile[]>(`/api/tracked-runs/${path(run)}/artifacts`, {}, signal),
  });

export const artifactAddress = (run: string, file: string) =>
  `/api/tracked-runs/${path(run)}/artifacts/${file.split("/").map(path).join("/")}`;

export const datasetsQuery = () =>
  queryOptions({ queryKey: ["datasets"], queryFn: ({ signal }) => get<DatasetSummary[]>("/api/datasets", {}, signal) });

export const datasetQuery = (name: string, version?: number) =>
  queryOptions({
    queryKey: ["datasets", name, version ?? null],
    queryFn: ({ signal }) => get<DatasetView>(`/api/datasets/${path(name)}`, { version }, signal),
    placeholderData: keepPreviousData,
  });

export const sampleQuery = (name: string, version: number) =>
  queryOptions({
    queryKey: ["datasets", name, "sample", version],
    queryFn: ({ signal }) => get<TablePreview>(`/api/datasets/${path(name)}/sample`, { version, limit: 100 }, signal),
    staleTime: Infinity,
  });

export const lineageQuery = (kind: string, name: string, version: number) =>
  queryOptions({
    queryKey: ["lineage", kind, name, version],
    queryFn: ({ signal }) => get<LineageView>("/api/lineage", { kind, name, version }, signal),
  });

export const runSql = (sql: string) => post<TablePreview>("/api/sql", { sql, limit: 200 });

export const modelsQuery = () =>
  queryOptions({ queryKey: ["models"], queryFn: ({ signal }) => get<ModelSummary[]>("/api/models", {}, signal) });

export const modelQuery = (name: string, version?: number) =>
  queryOptions({
    queryKey: ["models", name, version ?? null],
    queryFn: ({ signal }) => get<ModelView>(`/api/models/${path(name)}`, { version }, signal),
    placeholderData: keepPreviousData,
  });
