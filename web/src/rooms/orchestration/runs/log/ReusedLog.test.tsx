import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, render, screen } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { ReusedLog } from "./ReusedLog";

vi.mock("@tanstack/react-router", () => ({
  Link: ({ children, params }: { children: ReactNode; params: { run: string } }) => (
    <a href={`/runs/${params.run}`}>{children}</a>
  ),
}));
vi.mock("./LogView", () => ({
  LogView: ({ run, step, attempt }: { run: string; step: string; attempt: number }) => (
    <p>
      log of {run} {step} {attempt}
    </p>
  ),
}));

// The two last name each other, which no server says. The third run took over what the second had reused from the first, which tried twice.
const RUNS: Record<string, unknown> = {
  second: { run: { number: 2 }, steps: [{ id: "train", cached_from: "first", attempts: [{ attempt: 1 }] }] },
  one: { run: { number: 3 }, steps: [{ id: "train", cached_from: "other", attempts: [{ attempt: 1 }] }] },
  other: { run: { number: 4 }, steps: [{ id: "train", cached_from: "one", attempts: [{ attempt: 1 }] }] },
  first: {
    run: { number: 1 },
    steps: [{ id: "train", cached_from: null, attempts: [{ attempt: 1 }, { attempt: 2 }] }],
  },
};

beforeEach(() => {
  vi.stubGlobal("fetch", (address: string) => {
    const found = RUNS[address.split("/").at(-1) ?? ""];
    const gone = { code: "unknown-run", message: "there is no run `gone`" };
    return Promise.resolve(new Response(JSON.stringify(found ?? gone), { status: found ? 200 : 404 }));
  });
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

const shown = (run: string, attempt?: number) =>
  render(
    <QueryClientProvider client={new QueryClient({ defaultOptions: { queries: { retry: false } } })}>
      <ReusedLog run={run} step="train" attempt={attempt} />
    </QueryClientProvider>,
  );

it("shows the last attempt of the run that did the work, and says so", async () => {
  shown("second");
  expect(await screen.findByText("log of first train 2")).toBeDefined();
  expect(screen.getByRole("link").getAttribute("href")).toBe("/runs/first");
  expect(screen.getByText(/whose result stands in/).textContent).toContain("run #1");
});

it("shows the attempt that the address asks for, as far as there was one", async () => {
  shown("first", 1);
  expect(await screen.findByText("log of first train 1")).toBeDefined();
  cleanup();
  shown("first", 7);
  expect(await screen.findByText("log of first train 2")).toBeDefined();
});

it("does not go in circles", async () => {
  shown("one");
  expect(await screen.findByText("log of other train 1")).toBeDefined();
});

it("says that the run is gone", async () => {
  shown("gone");
  expect(await screen.findByText(/there is no run/)).toBeDefined();
});
