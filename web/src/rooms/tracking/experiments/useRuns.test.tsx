import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, cleanup, renderHook, waitFor } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { useRuns } from "./useRuns";

const PAGE = 100;
const TOTAL = 1000;
let asked: string[] = [];
let client: QueryClient;

/** Pages of runs named by their number; a filter of `wrong` is refused. */
function server(address: string): Response {
  const query = new URL(address, "http://localhost").searchParams;
  asked.push(query.get("after") ?? "");
  if (query.get("filter") === "wrong") {
    return new Response(JSON.stringify({ code: "invalid-query", detail: "no such thing" }), { status: 400 });
  }
  const from = Number(query.get("after") ?? 0);
  const runs = Array.from({ length: PAGE }, (_, index) => ({
    id: `r${from + index}`,
    metrics: {},
    params: {},
    tags: {},
  }));
  const next = from + PAGE < TOTAL ? String(from + PAGE) : null;
  return new Response(JSON.stringify({ runs, next, total: TOTAL, metric_keys: ["auc"], param_keys: [] }));
}

beforeEach(() => {
  asked = [];
  client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  vi.stubGlobal("fetch", (address: string) => Promise.resolve(server(address)));
});

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

const wrapper = ({ children }: { children: ReactNode }) => (
  <QueryClientProvider client={client}>{children}</QueryClientProvider>
);
const runs = (filter?: string) =>
  renderHook(({ filter }) => useRuns({ experiment: "1", filter, columns: [] }), { wrapper, initialProps: { filter } });

async function readTo(result: { current: ReturnType<typeof useRuns> }, rows: number) {
  await waitFor(() => expect(result.current.rows?.length).toBeGreaterThanOrEqual(PAGE));
  while ((result.current.rows?.length ?? 0) < rows) {
    const before = result.current.rows?.length ?? 0;
    act(() => result.current.more.read());
    await waitFor(() => expect(result.current.rows?.length).toBe(before + PAGE));
  }
}

it("reads on with the token of the page before", async () => {
  const { result } = runs();
  await readTo(result, 200);
  expect(asked).toEqual(["", "100"]);
  expect(result.current.total).toBe(TOTAL);
  expect(result.current.rows?.at(-1)?.id).toBe("r199");
});

it("reads a few pages again when runs change", async () => {
  const { result } = runs();
  await readTo(result, 200);
  asked = [];
  await act(() => client.invalidateQueries({ queryKey: ["tracked-runs"] }));
  expect(asked).toEqual(["", "100"]);
  expect(result.current.changed).toBe(false);
});

it("says that runs have changed when many pages would have to be read again", async () => {
  const { result } = runs();
  await readTo(result, 500);
  asked = [];
  await new Promise((done) => setTimeout(done, 5));
  await act(() => client.invalidateQueries({ queryKey: ["tracked-runs"] }));
  expect(asked).toEqual([]);
  await waitFor(() => expect(result.current.changed).toBe(true));
  act(() => result.current.renew());
  await waitFor(() => expect(result.current.rows).toHaveLength(PAGE));
  expect(result.current.changed).toBe(false);
});

it("keeps the rows of the last good filter", async () => {
  const { result, rerender } = runs();
  await readTo(result, 100);
  rerender({ filter: "wrong" });
  await waitFor(() => expect(result.current.error).toBeTruthy());
  expect(result.current.rows).toHaveLength(PAGE);
  expect(result.current.old).toBe(true);
  expect(result.current.more.has).toBe(false);
});
