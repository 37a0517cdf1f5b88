import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import type { DeliveryView } from "../../../api/types.gen";
import { Deliveries } from "./Deliveries";

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

const delivery = (id: string, state: string): DeliveryView => ({
  id,
  state,
  event: "model_version.created",
  attempts: 6,
  at: new Date().toISOString(),
  error: state === "dead" ? "connection refused" : null,
  body: { entity: "model_version" },
});

it("sends a dead letter again, and nothing else", async () => {
  const asked: string[] = [];
  vi.stubGlobal("fetch", (url: string, init: RequestInit) => {
    asked.push(`${init.method ?? "GET"} ${url}`);
    return Promise.resolve(new Response(JSON.stringify([delivery("d/1", "dead"), delivery("d2", "delivered")])));
  });
  render(
    <QueryClientProvider client={new QueryClient()}>
      <Deliveries webhook="w" />
    </QueryClientProvider>,
  );
  expect(await screen.findByText("1 dead letter")).toBeTruthy();
  expect(screen.getByText("connection refused")).toBeTruthy();
  fireEvent.click(screen.getByRole("button", { name: "Send again" }));
  await vi.waitFor(() => expect(asked).toContain("POST /api/webhooks/w/deliveries/d%2F1/retry"));
});
