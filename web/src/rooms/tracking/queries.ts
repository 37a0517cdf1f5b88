import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";
import { get, post, put, remove } from "../../api/client";
import type {
  CastVote,
  DatasetAlias,
  DatasetRead,
  DatasetSummary,
  DatasetView,
  ExperimentSummary,
  LineageView,
  OutsideDatasetView,
  OutsideJobView,
  LoggedModelView,
  MetricCurve,
  ModelCardView,
  ModelComparison,
  ModelSummary,
  ModelView,
  PromotionView,
  RequestPromotion,
  SchemaDiff,
  RunGroupList,
  TablePreview,
  TextMap,
  TrackedRun,
  TrackedRunPage,
} from "../../api/types.gen";

const path = encodeURIComponent;

export const experimentsQuery = () =>
  queryOptions({
    queryKey: ["experiments"],
    queryFn: ({ signal }) => get<ExperimentSummary[]>("/api/experiments", {}, signal),
  });

/** Rows of one page; enough for a screen or three. */
const PAGE_RUNS = 100;
/** Pages that events refresh at once; beyond, the reader is told that there is more. */
export const LIVE_PAGES = 3;
/** No run has a column of this name: the answer is about the runs without their values. */
const NO_VALUES = "none";

/** Which runs, in which order, with which values (`metrics.auc`). */
export interface RunsAsked {
  experiment: string;
  filter?: string;
  sort?: string;
  columns: string[];
}

const listRuns = (
  { experiment, filter, sort, columns }: RunsAsked,
  limit: number,
  after: string,
  signal: AbortSignal,
) =>
  get<TrackedRunPage>(
    `/api/experiments/${path(experiment)}/runs`,
    { filter, sort, limit, after, columns: columns.join(",") || NO_VALUES },
    signal,
  );

const asked = ({ experiment, filter, sort, columns }: RunsAsked) => [experiment, filter ?? "", sort ?? "", columns];

/** The names of what the newest runs logged, and how many runs there are. */
export const runKeysQuery = (experiment: string) =>
  queryOptions({
    queryKey: ["tracked-runs", "keys", experiment],
    queryFn: ({ signal }) => listRuns({ experiment, columns: [] }, PAGE_RUNS, "", signal),
  });

/** The runs of a table, by page. */
export const runPagesQuery = (runs: RunsAsked) =>
  infiniteQueryOptions({
    queryKey: ["tracked-runs", "pages", ...asked(runs)],
    queryFn: async ({ pageParam, signal }) => ({
      ...(await listRuns(runs, PAGE_RUNS, pageParam, signal)),
      read_at: Date.now(),
    }),
    initialPageParam: "",
    getNextPageParam: (page) => page.next,
    placeholderData: keepPreviousData,
    // A query that is off is not read again by events, but still gives its next page.
    enabled: (query) => (query.state.data?.pages.length ?? 0) <= LIVE_PAGES,
  });

/** When runs have last changed, as far as this page was told. */
export const runsChangedQuery = () =>
  queryOptions({ queryKey: ["tracked-runs", "changed"], queryFn: () => Date.now(), staleTime: Infinity });

/** The runs gathered by a value that they share. */
export const runGroupsQuery = ({ experiment, filter, by, columns, sort }: RunsAsked & { by: string }) =>
  queryOptions({
    queryKey: ["tracked-runs", "groups", ...asked({ experiment, filter, sort, columns }), by],
    queryFn: ({ signal }) =>
      get<RunGroupList>(
        `/api/experiments/${path(experiment)}/groups`,
        { by, filter, columns: columns.join(","), sort },
        signal,
      ),
    placeholderData: keepPreviousData,
  });

/** The first runs of a table, with the values that a plot needs. */
export const runSampleQuery = (runs: RunsAsked, limit: number) =>
  queryOptions({
    queryKey: ["tracked-runs", "sample", ...asked(runs), limit],
    queryFn: ({ signal }) => listRuns(runs, limit, "", signal),
    placeholderData: keepPreviousData,
  });

/** Some runs with all that they logged. */
export const runsByIdQuery = (experiment: string, ids: string[]) =>
  queryOptions({
    queryKey: ["tracked-runs", "by-id", experiment, ids],
    queryFn: ({ signal }) => {
      const filter = `run_id in (${ids.map((id) => `'${id.replaceAll("'", "")}'`).join(",")})`;
      return get<TrackedRunPage>(`/api/experiments/${path(experiment)}/runs`, { filter, limit: ids.length }, signal);
    },
    enabled: ids.length > 0,
    placeholderData: keepPreviousData,
  });

export const trackedRunQuery = (id: string) =>
  queryOptions({
    queryKey: ["tracked-runs", id],
    queryFn: ({ signal }) => get<TrackedRun>(`/api/tracked-runs/${path(id)}`, {}, signal),
  });

/** One metric of some runs; one metric a question, which the server answers without reading the others. */
export const curvesQuery = (runs: string[], key: string, points: number) =>
  queryOptions({
    queryKey: ["tracked-runs", "curves", runs, key, points],
    queryFn: ({ signal }) => get<MetricCurve[]>("/api/metrics", { runs: runs.join(","), keys: key, points }, signal),
    enabled: runs.length > 0,
    placeholderData: keepPreviousData,
  });

/** Models that a run saved. */
export const modelsOfRunQuery = (run: string) =>
  queryOptions({
    queryKey: ["tracked-runs", run, "models"],
    queryFn: ({ signal }) => get<LoggedModelView[]>(`/api/tracked-runs/${path(run)}/models`, {}, signal),
  });

export const loggedModelQuery = (id: string) =>
  queryOptions({
    queryKey: ["tracked-runs", "logged-model", id],
    queryFn: ({ signal }) => get<LoggedModelView>(`/api/logged-models/${path(id)}`, {}, signal),
  });

export const datasetsQuery = () =>
  queryOptions({ queryKey: ["datasets"], queryFn: ({ signal }) => get<DatasetSummary[]>("/api/datasets", {}, signal) });

export const datasetQuery = (name: string, version?: number) =>
  queryOptions({
    queryKey: ["datasets", name, version ?? null],
    queryFn: ({ signal }) => get<DatasetView>(`/api/datasets/${path(name)}`, { version }, signal),
    placeholderData: keepPreviousData,
  });

export const sampleQuery = (name: string, version: number, filter?: string) =>
  queryOptions({
    queryKey: ["datasets", name, "sample", version, filter ?? ""],
    queryFn: ({ signal }) =>
      get<TablePreview>(`/api/datasets/${path(name)}/sample`, { version, filter, limit: 100 }, signal),
    staleTime: Infinity,
  });

export const schemaDiffQuery = (name: string, from: number, to: number) =>
  queryOptions({
    queryKey: ["datasets", name, "schema-diff", from, to],
    queryFn: ({ signal }) => get<SchemaDiff>(`/api/datasets/${path(name)}/schema-diff`, { from, to }, signal),
    staleTime: Infinity,
  });

export const datasetReadsQuery = (name: string, version: number) =>
  queryOptions({
    queryKey: ["datasets", name, "reads", version],
    queryFn: ({ signal }) => get<DatasetRead[]>(`/api/datasets/${path(name)}/reads`, { version }, signal),
  });

export const lineageQuery = (kind: string, name: string, version: number) =>
  queryOptions({
    queryKey: ["lineage", kind, name, version],
    queryFn: ({ signal }) => get<LineageView>("/api/lineage", { kind, name, version }, signal),
  });

export const outsideJobQuery = (key: string) =>
  queryOptions({
    queryKey: ["lineage", "job", key],
    queryFn: ({ signal }) => get<OutsideJobView>("/api/lineage/job", { key }, signal),
  });

export const outsideDatasetQuery = (key: string) =>
  queryOptions({
    queryKey: ["lineage", "dataset", key],
    queryFn: ({ signal }) => get<OutsideDatasetView>("/api/lineage/dataset", { key }, signal),
  });

export const modelsQuery = () =>
  queryOptions({ queryKey: ["models"], queryFn: ({ signal }) => get<ModelSummary[]>("/api/models", {}, signal) });

export const modelQuery = (name: string, version?: number) =>
  queryOptions({
    queryKey: ["models", name, version ?? null],
    queryFn: ({ signal }) => get<ModelView>(`/api/models/${path(name)}`, { version }, signal),
    placeholderData: keepPreviousData,
  });

export const modelCardQuery = (name: string, version: number) =>
  queryOptions({
    queryKey: ["models", name, "card", version],
    queryFn: ({ signal }) => get<ModelCardView>(`/api/models/${path(name)}/card`, { version }, signal),
  });

export const writeModelCard = (name: string, version: number, content: string) =>
  put<ModelCardView>(`/api/models/${path(name)}/card?version=${version}`, { content });

export const modelComparisonQuery = (name: string, versions: string[]) =>
  queryOptions({
    queryKey: ["models", name, "compare", versions],
    queryFn: ({ signal }) =>
      get<ModelComparison>(`/api/models/${path(name)}/compare`, { versions: versions.join(",") }, signal),
    enabled: versions.length > 1,
  });

export const promotionsQuery = (model: string) =>
  queryOptions({
    queryKey: ["models", model, "promotions"],
    queryFn: ({ signal }) => get<PromotionView[]>("/api/promotions", { model }, signal),
  });

export const requestPromotion = (model: string, request: RequestPromotion) =>
  post<PromotionView>(`/api/models/${path(model)}/promotions`, request);

export const voteOnPromotion = (id: string, vote: CastVote) =>
  post<PromotionView>(`/api/promotions/${path(id)}/votes`, vote);

/** Takes a request back; whoever asked may. */
export const withdrawPromotion = (id: string, by: string | undefined) =>
  post<PromotionView>(`/api/promotions/${path(id)}/withdraw`, { by });

const datasetPath = (name: string) => `/api/datasets/${path(name)}`;
const datasetTag = (name: string, version: number, key: string) =>
  `${datasetPath(name)}/versions/${version}/tags/${path(key)}`;

/** Points an alias at a version, from wherever it points now. */
export const setDatasetAlias = (name: string, alias: string, version: number) =>
  put<DatasetAlias[]>(`${datasetPath(name)}/aliases/${path(alias)}`, { version });

export const removeDatasetAlias = (name: string, alias: string) =>
  remove<DatasetAlias[]>(`${datasetPath(name)}/aliases/${path(alias)}`);

/** Sets a tag of a version; version 0 is the dataset itself. */
export const setDatasetTag = (name: string, version: number, key: string, value: string) =>
  put<TextMap>(datasetTag(name, version, key), { value });

export const removeDatasetTag = (name: string, version: number, key: string) =>
  remove<TextMap>(datasetTag(name, version, key));
