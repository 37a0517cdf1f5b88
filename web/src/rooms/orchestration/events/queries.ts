import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { get, post } from "../../../api/client";
import type { EventTriggerView, InboxEventDetail, InboxEventView, InboxPage } from "../../../api/types.gen";
import type { EventsSearch } from "../search";

const path = encodeURIComponent;
/** Requests and sources tell nobody but the inbox, so it is looked at again. */
const LOOK_AGAIN_MS = 5_000;

export const inboxQuery = ({ pipeline, trigger, status, after }: EventsSearch) =>
  queryOptions({
    queryKey: ["inbox", "list", { pipeline, trigger, status, after }],
    queryFn: ({ signal }) => get<InboxPage>("/api/inbox", { pipeline, trigger, status, after, limit: 50 }, signal),
    placeholderData: keepPreviousData,
    refetchInterval: LOOK_AGAIN_MS,
  });

export const eventQuery = (id: string) =>
  queryOptions({
    queryKey: ["inbox", "event", id],
    queryFn: ({ signal }) => get<InboxEventDetail>(`/api/inbox/${path(id)}`, {}, signal),
  });

export const eventTriggersQuery = () =>
  queryOptions({
    queryKey: ["inbox", "triggers"],
    queryFn: ({ signal }) => get<EventTriggerView[]>("/api/event-triggers", {}, signal),
    refetchInterval: LOOK_AGAIN_MS,
  });

export const replayEvent = (id: string) => post<InboxEventView>(`/api/inbox/${path(id)}/replay`, {});
