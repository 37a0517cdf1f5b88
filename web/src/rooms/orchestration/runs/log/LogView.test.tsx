import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { LogLineView, LogView as LogAnswer } from "../../../../api/types.gen";
import { LogView } from "./LogView";

const search: Record<string, unknown> = {};
const went = vi.fn();
vi.mock("@tanstack/react-router", () => ({ useSearch: () => search, useNavigate: () => went }));

/** The one connection to a log, and what is told on it. */
class Source extends EventTarget {
  static readonly CLOSED = 2;
  static last: Source;
  readyState = 1;
  constructor(readonly url: string) {
    super();
    Source.last = this;
  }
  close(): void {
    this.readyState = Source.CLOSED;
  }
  tell(event: string, data: unknown): void {
    this.dispatchEvent(new MessageEvent(event, { data: JSON.stringify(data) }));
  }
}

const line = (number: number, text: string, stream = "stdout"): LogLineView => ({
  number,
  at_ms: 0,
  stream,
  text,
  cut: false,
});
const view = (lines: LogLineView[], total: number, ended = false): LogAnswer => ({
  attempt: 1,
  lines,
  next: total,
  total,
  bytes: total * 10,
  ended,
  dropped: [],
});

let asked: URL[] = [];
let answer: (url: URL) => Response;

beforeEach(() => {
  asked = [];
  vi.stubGlobal("EventSource", Source);
  vi.stubGlobal("fetch", (address: string) => {
    const url = new URL(address, "http://test");
    asked.push(url);
    return Promise.resolve(answer(url));
  });
});

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
  went.mockClear();
  delete search.line;
});

const shown = (failed = false) => render(<LogView run="r" step="s" attempt={1} failed={failed} />);

it("shows what comes, marked and coloured, and ends", async () => {
  shown();
  expect(Source.last.url).toBe("/api/runs/r/steps/s/log/events?attempt=1&tail=500");
  Source.last.tell("lines", view([line(0, "one"), line(1, "\u001b[31moops\u001b[0m", "stderr")], 2));
  expect(await screen.findByText("2 lines, 20 B, live")).toBeDefined();
  expect(screen.getByText("oops").className).toContain("ansi-1");
  expect(screen.getByTitle("standard error")).toBeDefined();
  Source.last.tell("end", { total: 2, dropped: [] });
  expect(await screen.findByText("2 lines, 20 B")).toBeDefined();
  expect(Source.last.readyState).toBe(Source.CLOSED);
});

it("reads lines only when they are looked at, and gives each an address", async () => {
  search.line = 5_000_000;
  answer = (url) => {
    const from = Number(url.searchParams.get("from"));
    const lines = Array.from({ length: 500 }, (_, at) => line(from + at, `text ${from + at}`));
    return new Response(JSON.stringify(view(lines, 10_000_000)));
  };
  shown();
  Source.last.tell("lines", view([line(9_999_999, "last")], 10_000_000));
  expect(await screen.findByText("text 4999999")).toBeDefined();
  expect(asked.map((url) => url.searchParams.get("from"))).toEqual(["4999500", "5000000"]);
  expect(screen.queryByText("last")).toBe(null);
  fireEvent.click(screen.getByLabelText("link to line 5000000"));
  expect(went).toHaveBeenCalledWith(expect.objectContaining({ search: expect.objectContaining({ line: 5_000_000 }) }));
});

it("looks for a text on the server and says what is wrong with an expression", async () => {
  answer = (url) =>
    url.searchParams.get("regex") === "true"
      ? new Response(JSON.stringify({ code: "log-pattern", message: "unclosed group" }), { status: 400 })
      : new Response(
          `event: match\ndata: ${JSON.stringify({ line: line(1, "a (b"), before: [], after: [] })}\n\n` +
            `event: done\ndata: ${JSON.stringify({ looked_at: 3, total: 3, matches: 1, more: false })}\n\n`,
        );
  shown();
  Source.last.tell("lines", view([line(0, "x"), line(1, "a (b"), line(2, "y")], 3, true));
  const field = await screen.findByLabelText("Search the log");
  fireEvent.change(field, { target: { value: "(" } });
  fireEvent.keyDown(field, { key: "Enter" });
  expect(await screen.findByText("1 of 1 line")).toBeDefined();
  expect(asked[0]?.search).toBe("?attempt=1&pattern=%28&regex=false&case=false&from=0&limit=500");
  fireEvent.click(screen.getByLabelText("regular expression"));
  expect(await screen.findByText(/unclosed group/)).toBeDefined();
});

it("opens the log of a failed attempt at its first error", async () => {
  answer = () =>
    new Response(
      `event: match\ndata: ${JSON.stringify({ line: line(40, "ValueError"), before: [], after: [] })}\n\nevent: done\ndata: {}\n\n`,
    );
  shown(true);
  const lines = Array.from({ length: 500 }, (_, at) => line(at, at === 40 ? "ValueError" : `fine ${at}`));
  Source.last.tell("lines", view(lines, 500, true));
  await waitFor(() => expect(screen.getByText("ValueError")).toBeDefined());
  expect(asked[0]?.searchParams.get("limit")).toBe("1");
  expect(screen.queryByText("fine 499")).toBe(null);
});

it("says that a step wrote nothing", async () => {
  shown();
  Source.last.tell("end", { total: 0, dropped: [] });
  expect(await screen.findByText("This step wrote nothing.")).toBeDefined();
});

it("says what is missing, why, and shows where", async () => {
  shown();
  Source.last.tell("lines", view([line(0, "one"), line(1, "[9 bytes …]"), line(2, "last")], 3));
  expect(await screen.findByText("3 lines, 30 B, live")).toBeDefined();
  expect(screen.queryByText(/are missing/)).toBe(null);
  const part = { stream: "stdout", bytes: 936_423_187, reason: "`max_log` is reached", line: 1 };
  Source.last.tell("end", { total: 3, dropped: [part] });
  expect(await screen.findByText("936 MB of standard output are missing from this log")).toBeDefined();
  expect(screen.getByText("max_log: 256MB")).toBeDefined();
  fireEvent.click(screen.getByRole("button", { name: "Show where" }));
  expect((screen.getByLabelText("at the end") as HTMLInputElement).checked).toBe(false);
});
