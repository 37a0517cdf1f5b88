import { type QueryClient, queryOptions } from "@tanstack/react-query";
import { get, post, put, remove } from "../../../api/client";
import type {
  Changed,
  ExperimentLifecycle,
  PurgeOutcome,
  RetentionPlanView,
  RetentionRulesView,
  RetentionView,
  RunLifecycle,
  StorageUseList,
  TrackedRunPage,
} from "../../../api/types.gen";

const path = encodeURIComponent;
/** Deleted runs that are shown and purged at once. */
export const SHOWN_DELETED = 100;

export const storageUseQuery = () =>
  queryOptions({
    queryKey: ["lifecycle", "storage-use"],
    queryFn: ({ signal }) => get<StorageUseList>("/api/storage-use", {}, signal),
  });

export const experimentLifecycleQuery = (id: string) =>
  queryOptions({
    queryKey: ["lifecycle", "experiment", id],
    queryFn: ({ signal }) => get<ExperimentLifecycle>(`/api/experiments/${path(id)}/lifecycle`, {}, signal),
  });

export const runLifecycleQuery = (id: string) =>
  queryOptions({
    queryKey: ["lifecycle", "run", id],
    queryFn: ({ signal }) => get<RunLifecycle>(`/api/tracked-runs/${path(id)}/lifecycle`, {}, signal),
  });

export const deletedRunsQuery = (experiment: string) =>
  queryOptions({
    queryKey: ["lifecycle", "deleted-runs", experiment],
    queryFn: ({ signal }) =>
      get<TrackedRunPage>(
        `/api/experiments/${path(experiment)}/runs`,
        { deleted: true, limit: SHOWN_DELETED, columns: "none" },
        signal,
      ),
  });

export const retentionQuery = (experiment: string) =>
  queryOptions({
    queryKey: ["lifecycle", "retention", experiment],
    queryFn: ({ signal }) => get<RetentionView>(`/api/experiments/${path(experiment)}/retention`, {}, signal),
  });

const experimentCall = (id: string, verb: string, body: unknown = {}) =>
  post<ExperimentLifecycle>(`/api/experiments/${path(id)}/${verb}`, body);

export const deleteExperiment = (id: string) => experimentCall(id, "delete");
export const restoreExperiment = (id: string) => experimentCall(id, "restore");
export const renameExperiment = (id: string, name: string) => experimentCall(id, "rename", { name });
export const purgeExperiment = (id: string, dry_run: boolean) =>
  post<PurgeOutcome>(`/api/experiments/${path(id)}/purge`, { dry_run });

export const deleteRuns = (ids: string[]) => post<Changed>("/api/tracked-runs/delete", { ids });
export const restoreRuns = (ids: string[]) => post<Changed>("/api/tracked-runs/restore", { ids });
export const purgeRuns = (ids: string[], dry_run: boolean) =>
  post<PurgeOutcome>("/api/tracked-runs/purge", { ids, dry_run });

export const setRetention = (experiment: string, rules: RetentionRulesView) =>
  put<RetentionView>(`/api/experiments/${path(experiment)}/retention`, rules);
export const removeRetention = (experiment: string) =>
  remove<RetentionView>(`/api/experiments/${path(experiment)}/retention`);
export const planRetention = (experiment: string, rules: RetentionRulesView) =>
  post<RetentionPlanView>(`/api/experiments/${path(experiment)}/retention/plan`, rules);

/** Reads everything anew that a deletion, a restoration or a purge changes. */
export const renewAll = (client: QueryClient) =>
  Promise.all(["lifecycle", "experiments", "tracked-runs"].map((key) => client.invalidateQueries({ queryKey: [key] })));
