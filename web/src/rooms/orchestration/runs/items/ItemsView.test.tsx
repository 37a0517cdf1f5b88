import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { ItemsView as Items, StepView } from "../../../../api/types.gen";
import { ItemsView } from "./ItemsView";

const search: Record<string, unknown> = {};
const went = vi.fn();
vi.mock("@tanstack/react-router", () => ({ useSearch: () => search, useNavigate: () => went, Link: () => null }));
vi.mock("../log/LogView", () => ({
  LogView: ({ step, attempt }: { step: string; attempt: number }) => `log of ${step} ${attempt}`,
}));

const asked: string[] = [];
const item = (index: number) => ({
  index,
  step: `each[${index}]`,
  label: `number ${index}`,
  status: index % 97 === 0 ? "failed" : "succeeded",
  attempts: 2,
  started_at: "2026-03-01T06:00:00Z",
  ended_at: "2026-03-01T06:00:01Z",
  outputs: { half: index / 2 },
  why: [],
  problem: null,
});

// The window of rows is as high as it says: there is no layout here.
beforeEach(() => {
  vi.spyOn(HTMLElement.prototype, "offsetHeight", "get").mockReturnValue(460);
  vi.spyOn(HTMLElement.prototype, "clientHeight", "get").mockReturnValue(460);
  vi.stubGlobal("fetch", (address: string) => {
    const url = new URL(address, "http://test");
    asked.push(url.search);
    const after = url.searchParams.get("after");
    const limit = Number(url.searchParams.get("limit"));
    const first = after === null ? 0 : Number(after) + 1;
    const items = Array.from({ length: limit }, (_, at) => item(first + at));
    return Promise.resolve(new Response(JSON.stringify({ items, next: first + limit - 1 })));
  });
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
  asked.length = 0;
  went.mockClear();
  for (const key of Object.keys(search)) delete search[key];
});

const items: Items = { total: 10_000, not_begun: 200, counts: { succeeded: 9_700, failed: 100 }, failures: [] };
const shown = () =>
  render(
    <QueryClientProvider client={new QueryClient()}>
      <ItemsView run="r" step={{ id: "each", kind: "run", status: "succeeded" } as StepView} items={items} now={0} />
    </QueryClientProvider>,
  );

it("reads a page of ten thousand items, and narrows them on the server", async () => {
  shown();
  expect(await screen.findByText(/^200 items loaded/)).toBeDefined();
  expect(asked).toEqual(["?limit=200"]);
  expect(screen.getAllByRole("row").length).toBeLessThan(60);
  expect(screen.getByText("200 not begun")).toBeDefined();
  fireEvent.click(screen.getByRole("button", { name: /^failed 100/ }));
  expect(went).toHaveBeenCalledWith(expect.objectContaining({ search: expect.objectContaining({ state: "failed" }) }));
});

it("begins at the item that is asked for", async () => {
  shown();
  const from = await screen.findByLabelText("from item");
  fireEvent.change(from, { target: { value: "5000" } });
  fireEvent.keyDown(from, { key: "Enter" });
  expect(await screen.findByRole("button", { name: "item 5000: number 5000" })).toBeDefined();
  expect(asked.at(-1)).toBe("?after=4999&limit=200");
});

it("shows an item with what it left and the log of its last attempt", async () => {
  search.item = 97;
  shown();
  expect(await screen.findByText("log of each[97] 2")).toBeDefined();
  expect(screen.getByText("48.5")).toBeDefined();
});
