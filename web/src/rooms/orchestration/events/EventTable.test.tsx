import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { createMemoryHistory, createRootRoute, createRouter, RouterProvider } from "@tanstack/react-router";
import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import type { InboxEventView } from "../../../api/types.gen";
import { EventTable, why } from "./EventTable";

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

const event = (id: string, change: Partial<InboxEventView>): InboxEventView => ({
  id,
  pipeline: "p",
  trigger: "t",
  type: "github.push",
  source: "github",
  subject: "a/b",
  status: "started",
  why: null,
  attempts: 0,
  repeats: 0,
  run_id: null,
  received_at: new Date().toISOString(),
  next_at: null,
  settled_at: null,
  ...change,
});

it("replays a dead letter, and offers it for nothing that started a run", async () => {
  const asked: string[] = [];
  vi.stubGlobal("fetch", (url: string, init: RequestInit) => {
    asked.push(`${init.method ?? "GET"} ${url}`);
    return Promise.resolve(new Response(JSON.stringify(event("d/1", { status: "waiting" }))));
  });
  const events = [event("d/1", { status: "dead", why: "the input `n`: no value" }), event("2", { run_id: "abc" })];
  const root = createRootRoute({
    component: () => <EventTable events={events} shown={undefined} show={() => undefined} />,
  });
  render(
    <QueryClientProvider client={new QueryClient()}>
      <RouterProvider router={createRouter({ routeTree: root, history: createMemoryHistory() })} />
    </QueryClientProvider>,
  );
  const buttons = await screen.findAllByRole("button", { name: "Replay" });
  expect(buttons).toHaveLength(1);
  fireEvent.click(buttons[0] as HTMLElement);
  await vi.waitFor(() => expect(asked).toContain("POST /api/inbox/d%2F1/replay"));
});

it("says why an event is where it is", () => {
  expect(why(event("1", {}))).toBe("");
  expect(why(event("1", { status: "waiting", why: "no value", attempts: 2 }))).toBe("no value; tried 2 times so far");
  expect(why(event("1", { repeats: 3 }))).toBe("came 3 more times");
  expect(why(event("1", { repeats: 1 }))).toBe("came 1 more time");
});
