import { queryOptions } from "@tanstack/react-query";
import { get, post, send } from "../../../api/client";
import type { DeliveryView, WebhookList } from "../../../api/types.gen";

const path = encodeURIComponent;
const CALLS = "/api/2.0/mlflow/webhooks";

export const webhooksQuery = () =>
  queryOptions({ queryKey: ["webhooks"], queryFn: ({ signal }) => get<WebhookList>("/api/webhooks", {}, signal) });

export const deliveriesQuery = (id: string) =>
  queryOptions({
    queryKey: ["webhooks", id, "deliveries"],
    queryFn: ({ signal }) => get<DeliveryView[]>(`/api/webhooks/${path(id)}/deliveries`, {}, signal),
    // Tries are made by the server on its own.
    refetchInterval: 5_000,
  });

export interface NewWebhook {
  name: string;
  url: string;
  description: string;
  secret: string;
  events: string[];
}

/** `model_version.created` as MLflow's protocol says it. */
const event = (name: string) => {
  const [entity = "", action = ""] = name.split(".");
  return { entity: entity.toUpperCase(), action: action.toUpperCase() };
};

export const createWebhook = ({ events, ...webhook }: NewWebhook) =>
  post(CALLS, { ...webhook, events: events.map(event), status: "ACTIVE" });

export const setActive = (id: string, active: boolean) =>
  send("PATCH", `${CALLS}/${path(id)}`, { status: active ? "ACTIVE" : "DISABLED" });

export const removeWebhook = (id: string) => send("DELETE", `${CALLS}/${path(id)}`);

export interface TestResult {
  result: { success: boolean; response_status?: number; response_body?: string; error_message?: string };
}

export const testWebhook = (id: string) => post<TestResult>(`${CALLS}/${path(id)}/test`, {});

export const retryDelivery = (id: string, delivery: string) =>
  post<DeliveryView[]>(`/api/webhooks/${path(id)}/deliveries/${path(delivery)}/retry`, {});
