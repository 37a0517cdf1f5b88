import { queryOptions } from "@tanstack/react-query";
import { get } from "../../api/client";
import type { AlertView, MonitorSummary, MonitorView } from "../../api/types.gen";

export const monitorsQuery = () =>
  queryOptions({ queryKey: ["monitors"], queryFn: ({ signal }) => get<MonitorSummary[]>("/api/monitors", {}, signal) });

export const monitorQuery = (name: string) =>
  queryOptions({
    queryKey: ["monitors", name],
    queryFn: ({ signal }) => get<MonitorView>(`/api/monitors/${encodeURIComponent(name)}`, {}, signal),
  });

export const alertsQuery = () =>
  queryOptions({ queryKey: ["alerts"], queryFn: ({ signal }) => get<AlertView[]>("/api/alerts", {}, signal) });
