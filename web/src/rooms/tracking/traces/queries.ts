import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";
import { get, send } from "../../../api/client";
import type { AssessmentView, Json, SpanSummary, SpanView, TracePage, TraceView } from "../../../api/types.gen";
import { LIVE_PAGES } from "../queries";
import type { TracesSearch } from "../search";

const path = encodeURIComponent;
const PAGE = 100;

/** Traces, by page. */
export const tracePagesQuery = ({ experiment, filter, sort }: TracesSearch) =>
  infiniteQueryOptions({
    queryKey: ["traces", "pages", experiment ?? "", filter ?? "", sort ?? ""],
    queryFn: ({ pageParam, signal }) =>
      get<TracePage>("/api/traces", { experiment, filter, sort, limit: PAGE, after: pageParam }, signal),
    initialPageParam: "",
    getNextPageParam: (page) => page.next,
    placeholderData: keepPreviousData,
    // A query that is off is not read again by events, but still gives its next page.
    enabled: (query) => (query.state.data?.pages.length ?? 0) <= LIVE_PAGES,
  });

export const traceQuery = (id: string) =>
  queryOptions({
    queryKey: ["traces", id],
    queryFn: ({ signal }) => get<TraceView>(`/api/traces/${path(id)}`, {}, signal),
  });

/** The tree of a trace, without what went in and came out. */
export const spansQuery = (id: string) =>
  queryOptions({
    queryKey: ["traces", id, "spans"],
    queryFn: ({ signal }) => get<SpanSummary[]>(`/api/traces/${path(id)}/spans`, {}, signal),
  });

export const spanQuery = (id: string, span: string) =>
  queryOptions({
    queryKey: ["traces", id, "spans", span],
    queryFn: ({ signal }) => get<SpanView>(`/api/traces/${path(id)}/spans/${path(span)}`, {}, signal),
    placeholderData: keepPreviousData,
  });

/** What a person thinks of a trace or of one of its spans. */
export interface Opinion {
  kind: "feedback" | "expectation";
  name: string;
  value: Json;
  rationale: string;
  span?: string;
}

const assessments = (trace: string) => `/api/3.0/mlflow/traces/${path(trace)}/assessments`;

export const addAssessment = (trace: string, { kind, name, value, rationale, span }: Opinion) =>
  send(`POST`, assessments(trace), {
    assessment: {
      assessment_name: name,
      trace_id: trace,
      span_id: span,
      source: { source_type: "HUMAN", source_id: "web" },
      [kind]: { value },
      rationale,
    },
  });

export const changeAssessment = (trace: string, { id, kind }: AssessmentView, value: Json, rationale: string) =>
  send("PATCH", `${assessments(trace)}/${path(id)}`, {
    assessment: { assessment_id: id, trace_id: trace, [kind]: { value }, rationale },
    update_mask: `${kind},rationale`,
  });

export const removeAssessment = (trace: string, id: string) => send("DELETE", `${assessments(trace)}/${path(id)}`);
