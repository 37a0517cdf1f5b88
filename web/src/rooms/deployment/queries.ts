import { queryOptions } from "@tanstack/react-query";
import { get, post } from "../../api/client";
import type { EndpointSummary, EndpointView } from "../../api/types.gen";

import { addressHere } from "./calls";

const path = encodeURIComponent;

export const endpointsQuery = () =>
  queryOptions({
    queryKey: ["endpoints"],
    queryFn: ({ signal }) => get<EndpointSummary[]>("/api/endpoints", {}, signal),
  });

export const endpointQuery = (name: string) =>
  queryOptions({
    queryKey: ["endpoints", name],
    queryFn: ({ signal }) => get<EndpointView>(`/api/endpoints/${path(name)}`, {}, signal),
    refetchInterval: 5000,
  });

/** Scores rows at the endpoint's own address, as a client would. */
export const score = (url: string, rows: Record<string, unknown>[]) => post<unknown>(addressHere(url), { rows });
