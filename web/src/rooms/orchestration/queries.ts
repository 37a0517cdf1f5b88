import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";
import { address, get, post, type Query } from "../../api/client";
import type {
  ApprovalPage,
  ApprovalView,
  CancelledRuns,
  CancelRuns,
  DecideApproval,
  EnvironmentView,
  ItemPage,
  LogView,
  PipelineSummary,
  PipelineView,
  RunComparison,
  RunPage,
  RunSummary,
  RunView,
  TablePreview,
  TimelineView,
  TriggerStatusView,
  WhyView,
  WindowListView,
  WindowRange,
  WindowsChanged,
} from "../../api/types.gen";

const path = encodeURIComponent;

export interface RunFilter {
  /** Words separated by commas, as in the two that follow. */
  pipeline?: string;
  status?: string;
  trigger?: string;
  /** RFC 3339. */
  since?: string;
  until?: string;
  text?: string;
  parent?: string;
  step?: string;
  all?: true;
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

const itemsPath = (run: string, step: string) => `/api/runs/${path(run)}/steps/${path(step)}/items`;
/** Pages of items that are looked at again while the step runs; who has scrolled further looks at what is there. */
const PAGES_LOOKED_AT = 3;

/** The items of a step that have begun, page by page; from the item with the number `from`, or from the first. */
export const itemsQuery = (run: string, step: string, about: ItemsAbout) =>
  infiniteQueryOptions({
    queryKey: ["items", run, step, about],
    queryFn: ({ pageParam, signal }) =>
      get<ItemPage>(
        itemsPath(run, step),
        { status: about.state, after: pageParam ?? undefined, limit: about.size },
        signal,
      ),
    initialPageParam: about.from ? about.from - 1 : null,
    getNextPageParam: (page) => page.next,
    refetchInterval: ({ state: { data } }) =>
      !about.over && (data?.pages.length ?? 0) <= PAGES_LOOKED_AT ? 3000 : false,
  });

export interface ItemsAbout {
  state?: string;
  from?: number;
  /** Items a page. */
  size: number;
  /** Whether nothing of them changes any more. */
  over: boolean;
}

/** One item of a step; null if it has not begun. */
export const itemQuery = (run: string, step: string, index: number, over: boolean) =>
  queryOptions({
    queryKey: ["items", run, step, index],
    queryFn: async ({ signal }) => {
      const after = index > 0 ? index - 1 : undefined;
      const page = await get<ItemPage>(itemsPath(run, step), { after, limit: 1 }, signal);
      return page.items.find((item) => item.index === index) ?? null;
    },
    refetchInterval: over ? false : 3000,
  });

/** Why each step ran, was reused or skipped, and what those wait for that have not begun. */
export const whyQuery = (id: string) =>
  queryOptions({
    queryKey: ["runs", id, "why"],
    queryFn: ({ signal }) => get<WhyView[]>(`/api/runs/${path(id)}/why`, {}, signal),
  });

export const comparisonQuery = (run: string, other: string) =>
  queryOptions({
    queryKey: ["runs", run, "compare", other],
    queryFn: ({ signal }) => get<RunComparison>(`/api/runs/${path(run)}/compare/${path(other)}`, {}, signal),
  });

export const timelineQuery = (from: number, to: number) =>
  queryOptions({
    queryKey: ["runs", "timeline", from, to],
    queryFn: ({ signal }) => get<TimelineView>("/api/timeline", { from, to }, signal),
    placeholderData: keepPreviousData,
  });

/** Looked at again now and then, since time alone changes it. */
export const triggersQuery = () =>
  queryOptions({
    queryKey: ["triggers"],
    queryFn: ({ signal }) => get<TriggerStatusView[]>("/api/triggers", {}, signal),
    refetchInterval: 15_000,
  });

export const windowsQuery = (pipeline: string, trigger: string | undefined, limit: number) =>
  queryOptions({
    queryKey: ["windows", pipeline, trigger, limit],
    queryFn: ({ signal }) =>
      get<WindowListView>(`/api/pipelines/${path(pipeline)}/windows`, { trigger, limit }, signal),
    refetchInterval: 5_000,
    placeholderData: keepPreviousData,
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

/** The address of a step's log, or of what there is about it: `/events`, `/search`, `/file`. */
export const logPath = (run: string, step: string, what = "") =>
  `/api/runs/${path(run)}/steps/${path(step)}/log${what}`;

export const logAddress = (run: string, step: string, what: string, query: Query) =>
  address(logPath(run, step, what), query);

export const readLog = (run: string, step: string, range: { attempt: number; from?: number; count: number }) =>
  get<LogView>(logPath(run, step), range);

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

export const backfill = (pipeline: string, range: WindowRange) =>
  post<WindowsChanged>(`/api/pipelines/${path(pipeline)}/backfill`, range);

export const cancelRun = (id: string) => post<unknown>(`/api/runs/${path(id)}/cancel`, {});

export const cancelRuns = (runs: string[]) => post<CancelledRuns>("/api/runs/cancel", { runs } satisfies CancelRuns);

/** What of a run is run again: everything, what did not succeed, or a step and what comes after it. */
export type Again = "all" | "failed" | { from: string };

export const rerun = (id: string, again: Again) =>
  post<RunSummary>(
    address(`/api/runs/${path(id)}/rerun`, {
      failed: again === "failed" || undefined,
      from: typeof again === "object" ? again.from : undefined,
    }),
    {},
  );

/** Holds a run: nothing of it begins until it is let go. */
export const holdRun = (id: string, hold: boolean) =>
  post<RunSummary>(`/api/runs/${path(id)}/${hold ? "pause" : "resume"}`, {});

const ENDED = new Set(["succeeded", "failed", "cancelled", "skipped", "cached", "timed_out", "rejected"]);

/** Whether nothing more will happen. */
export const isOver = (status: string): boolean => ENDED.has(status.toLowerCase());

export interface ApprovalFilter {
  state?: string;
  run?: string;
  after?: string;
  limit?: number;
}

export const approvalsQuery = (filter: ApprovalFilter) =>
  queryOptions({
    queryKey: ["approvals", "list", filter],
    queryFn: ({ signal }) => get<ApprovalPage>("/api/approvals", { ...filter }, signal),
    placeholderData: keepPreviousData,
  });

export const approvalQuery = (id: string) =>
  queryOptions({
    queryKey: ["approvals", id],
    queryFn: ({ signal }) => get<ApprovalView>(`/api/approvals/${path(id)}`, {}, signal),
  });

export const decideApproval = (id: string, decision: DecideApproval) =>
  post<ApprovalView>(`/api/approvals/${path(id)}/decisions`, decision);

export const environmentsQuery = () =>
  queryOptions({
    queryKey: ["environments"],
    queryFn: ({ signal }) => get<EnvironmentView[]>("/api/environments", {}, signal),
  });
