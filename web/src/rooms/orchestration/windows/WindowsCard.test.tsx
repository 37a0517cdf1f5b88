import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import type { TriggerStatusView, WindowView } from "../../../api/types.gen";
import { WindowGrid } from "./WindowGrid";
import { WindowsCard } from "./WindowsCard";

vi.mock("@tanstack/react-router", () => ({ Link: () => null }));
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

const STATES = ["succeeded", "failed", "succeeded", "stale", "running"];
const windows = STATES.map(
  (state, at): WindowView => ({
    trigger: "daily",
    start: `2026-03-0${at + 2}T00:00:00+01:00`,
    end: `2026-03-0${at + 3}T00:00:00+01:00`,
    state,
    reason: state === "failed" ? "exit code 1" : null,
    attempt: 1,
    run_id: null,
    due_at: `2026-03-0${at + 3}T00:00:00+01:00`,
  }),
);

const asked: [string, unknown][] = [];
const shown = () => {
  asked.length = 0;
  vi.stubGlobal("fetch", (url: string, init: RequestInit) => {
    asked.push([url, JSON.parse(String(init.body))]);
    return Promise.resolve(new Response(JSON.stringify({ windows: 1 })));
  });
  render(
    <QueryClientProvider client={new QueryClient()}>
      <WindowsCard
        pipeline="p"
        trigger={{ trigger: "daily", timezone: "Europe/Berlin" } as TriggerStatusView}
        windows={windows}
        more={undefined}
      />
    </QueryClientProvider>,
  );
};
/** Days of the windows that the tabulator stops at. */
const stops = () =>
  screen.getAllByRole("button").flatMap((button) => (button.tabIndex === 0 ? button.dataset.start?.slice(0, 10) : []));
const cell = (name: RegExp) => screen.getByRole("button", { name });

it("runs those of a range again that did not succeed, and leaves the others", async () => {
  shown();
  fireEvent.click(cell(/^2026-03-02/));
  fireEvent.click(cell(/^2026-03-05/), { shiftKey: true });
  expect(screen.getByText(/4 windows, 2026-03-02 to 2026-03-06/)).toBeDefined();
  fireEvent.click(cell(/^Run the 2 again/));
  expect(await screen.findByText("2 windows changed.")).toBeDefined();
  expect(asked).toEqual([
    ["/api/pipelines/p/windows/rerun", { trigger: "daily", from: "2026-03-03T00:00:00+01:00" }],
    ["/api/pipelines/p/windows/rerun", { trigger: "daily", from: "2026-03-05T00:00:00+01:00" }],
  ]);
});

it("is a stop for the tabulator in each month, and arrows go from one month to the other", () => {
  const days = ["2026-02-27", "2026-02-28", "2026-03-01", "2026-03-02"];
  const both = days.map(
    (day): WindowView => ({
      ...(windows[0] as WindowView),
      start: `${day}T00:00:00+01:00`,
      end: `${new Date(Date.parse(day) + 86_400_000).toISOString().slice(0, 10)}T00:00:00+01:00`,
    }),
  );
  render(<WindowGrid windows={both} picked={new Set()} at={null} onPick={() => undefined} />);
  expect(stops()).toEqual(["2026-03-02", "2026-02-28"]);
  cell(/^2026-02-28/).focus();
  fireEvent.keyDown(cell(/^2026-02-28/), { key: "ArrowRight" });
  expect(document.activeElement).toBe(cell(/^2026-03-01/));
  expect(stops()).toEqual(["2026-03-01", "2026-02-28"]);
  fireEvent.keyDown(cell(/^2026-03-01/), { key: "ArrowLeft" });
  fireEvent.keyDown(cell(/^2026-02-28/), { key: "ArrowLeft" });
  expect(stops()).toEqual(["2026-03-02", "2026-02-27"]);
});

it("is one stop for the tabulator; arrows move, with Shift they pick a range", () => {
  shown();
  const grid = screen.getByRole("group", { name: "windows" });
  expect([...grid.querySelectorAll("button")].filter((button) => button.tabIndex === 0)).toHaveLength(1);
  cell(/^2026-03-06/).focus();
  fireEvent.click(cell(/^2026-03-06/));
  fireEvent.keyDown(cell(/^2026-03-06/), { key: "ArrowLeft" });
  expect(document.activeElement).toBe(cell(/^2026-03-05/));
  fireEvent.keyDown(cell(/^2026-03-05/), { key: "ArrowLeft", shiftKey: true });
  expect(screen.getByText(/3 windows, 2026-03-04 to 2026-03-07/)).toBeDefined();
});

it("goes to the windows of a state, and asks before it cancels", () => {
  shown();
  fireEvent.click(screen.getByTitle("go to the next window that is failed"));
  expect(screen.getByText("exit code 1")).toBeDefined();
  expect(screen.queryByRole("button", { name: "Cancel" })).toBe(null);
  fireEvent.click(cell(/^2026-03-06/));
  HTMLDialogElement.prototype.showModal = vi.fn();
  HTMLDialogElement.prototype.close = vi.fn();
  fireEvent.click(screen.getByRole("button", { name: "Cancel" }));
  expect(screen.getByText("Cancel 1 window?")).toBeDefined();
  expect(asked).toEqual([]);
});
