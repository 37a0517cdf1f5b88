import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { get, post } from "../../api/client";
import type {
  LogChunk,
  PipelineSummary,
  PipelineView,
  RunPage,
  RunSummary,
  RunView,
  TablePreview,
  TriggerStatusView,
  WindowListView,
  WindowRange,
  WindowsChanged,
} from "../../api/types.gen";

const path = encodeURIComponent;

export interface RunFilter {
  pipeline?: string;
  status?: string;
  after?: string;
  limit?: number;
}

export const pipelinesQuery = () =>
  queryOptions({
    queryKey: ["pipelines"],
    queryFn: ({ signal }) => get<PipelineSummary[]>("/api/pipelines", {}, signal),
  });

export const pipelineQuery = (name: string) =>
  queryOptions({
    queryKey: ["pipelines", name],
    queryFn: ({ signal }) => get<PipelineView>(`/api/pipelines/${path(name)}`, {}, signal),
  });

export const runsQuery = (filter: RunFilter) =>
  queryOptions({
    queryKey: ["runs", "list", filter],
    queryFn: ({ signal }) => get<RunPage>("/api/runs", { ...filter }, signal),
    placeholderData: keepPreviousData,
  });

export const runQuery = (id: string) =>
  queryOptions({
    queryKey: ["runs", id],
    queryFn: ({ signal }) => get<RunView>(`/api/runs/${path(id)}`, {}, signal),
  });

/** Looked at again now and then, since time alone changes it. */
export const triggersQuery = () =>
  queryOptions({
    queryKey: ["triggers"],
    queryFn: ({ signal }) => get<TriggerStatusView[]>("/api/triggers", {}, signal),
    refetchInterval: 15_000,
  });

export const windowsQuery = (pipeline: string) =>
  queryOptions({
    queryKey: ["windows", pipeline],
    queryFn: ({ signal }) => get<WindowListView>(`/api/pipelines/${path(pipeline)}/windows`, {}, signal),
    refetchInterval: 5_000,
  });

export const outputQuery = (run: string, step: string, output: string) =>
  queryOptions({
    queryKey: ["runs", run, "output", step, output],
    queryFn: ({ signal }) =>
      get<unknown>(`/api/runs/${path(run)}/steps/${path(step)}/outputs/${path(output)}`, {}, signal),
    staleTime: Infinity,
  });

export const outputRowsQuery = (run: string, step: string, output: string) =>
  queryOptions({
    queryKey: ["runs", run, "rows", step, output],
    queryFn: ({ signal }) =>
      get<TablePreview>(`/api/runs/${path(run)}/steps/${path(step)}/outputs/${path(output)}`, { limit: 50 }, signal),
    staleTime: Infinity,
  });

export const readLog = (run: string, step: string, attempt: number, offset: number, signal?: AbortSignal) =>
  get<LogChunk>(`/api/runs/${path(run)}/steps/${path(step)}/log`, { attempt, offset }, signal);

export const startRun = (pipeline: string, inputs: Record<string, unknown>) =>
  post<RunSummary>(`/api/pipelines/${path(pipeline)}/runs`, { inputs });

export const pauseTrigger = (pipeline: string, trigger: string, paused: boolean) =>
  post<TriggerStatusView>(
    `/api/pipelines/${path(pipeline)}/triggers/${path(trigger)}/${paused ? "pause" : "resume"}`,
    {},
  );

export const rerunWindows = (pipeline: string, range: WindowRange) =>
  post<WindowsChanged>(`/api/pipelines/${path(pipeline)}/windows/rerun`, range);

export const cancelWindows = (pipeline: string, range: WindowRange) =>
  post<WindowsChanged>(`/api/pipelines/${path(pipeline)}/windows/cancel`, range);

export const cancelRun = (id: string) => post<unknown>(`/api/runs/${path(id)}/cancel`, {});

export const rerun = (id: string) => post<RunSummary>(`/api/runs/${path(id)}/rerun`, {});

const ENDED = new Set(["succeeded", "failed", "cancelled", "skipped", "cached", "timed_out", "rejected"]);

/** Whether nothing more will happen. */
export const isOver = (status: string): boolean => ENDED.has(status.toLowerCase());
