import { MantineProvider } from "@mantine/core";
import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { SpanSummary } from "../../../api/types.gen";
import { spanRows } from "./spanTree";
import { Waterfall } from "./Waterfall";

beforeEach(() => {
  vi.spyOn(HTMLElement.prototype, "clientHeight", "get").mockReturnValue(600);
  vi.spyOn(HTMLElement.prototype, "clientWidth", "get").mockReturnValue(600);
});
afterEach(cleanup);

const span = (id: string, parent_id: string | null, status = "OK"): SpanSummary => ({
  id,
  parent_id,
  name: id,
  kind: "TOOL",
  status,
  start_ms: 0,
  duration_ms: 4,
  tokens: null,
});

function waterfall(spans: SpanSummary[], selected?: string) {
  const [onSelect, onToggle] = [vi.fn(), vi.fn()];
  const rows = spanRows(spans, new Set());
  render(
    <MantineProvider>
      <Waterfall rows={rows} end={10} selected={selected} onSelect={onSelect} onToggle={onToggle} />
    </MantineProvider>,
  );
  return { onSelect, onToggle };
}

it("draws the lines in sight of any number of spans", () => {
  waterfall([span("root", null), ...Array.from({ length: 30_000 }, (_, at) => span(`s${at}`, "root"))]);
  const lines = screen.getAllByRole("treeitem");
  expect(lines.length).toBeGreaterThan(10);
  expect(lines.length).toBeLessThan(80);
});

it("says what failed in words, and how long each took", () => {
  waterfall([span("root", null), span("bad", "root", "ERROR")]);
  expect(screen.getByRole("treeitem", { name: "bad, tool, 4 ms, failed" }).getAttribute("aria-level")).toBe("2");
});

it("is walked by the arrow keys and folded", () => {
  const { onSelect, onToggle } = waterfall([span("root", null), span("inner", "root")], "root");
  const tree = screen.getByRole("tree");
  fireEvent.keyDown(tree, { key: "ArrowDown" });
  expect(onSelect).toHaveBeenLastCalledWith("inner");
  fireEvent.keyDown(tree, { key: "Home" });
  fireEvent.keyDown(tree, { key: "ArrowLeft" });
  expect(onToggle).toHaveBeenCalledWith("root");
});
