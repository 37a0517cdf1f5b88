import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import { LogView } from "./LogView";

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

function serve(chunks: { text: string; next_offset: number; size: number; ended: boolean }[]) {
  const asked: string[] = [];
  vi.stubGlobal("fetch", (url: string) => {
    asked.push(new URL(url, "http://test").searchParams.get("offset") ?? "");
    const chunk = chunks[Math.min(asked.length, chunks.length) - 1];
    return Promise.resolve(new Response(JSON.stringify({ ...chunk, offset: 0, first_error: null })));
  });
  return asked;
}

it("reads on until the end and then stops asking", async () => {
  const asked = serve([
    { text: "one", next_offset: 4, size: 8, ended: true },
    { text: "two\nTraceback here\n", next_offset: 8, size: 8, ended: true },
  ]);
  render(<LogView run="r" step="s" attempt={1} />);
  expect(await screen.findByText("First error")).toBeDefined();
  expect(screen.getByText("3 lines")).toBeDefined();
  expect(asked).toEqual(["0", "4"]);
});

it("does not ask in a circle for a line that is still being written", async () => {
  const asked = serve([{ text: "", next_offset: 0, size: 20, ended: true }]);
  render(<LogView run="r" step="s" attempt={1} />);
  expect(await screen.findByText("This step wrote nothing.")).toBeDefined();
  expect(asked).toEqual(["0"]);
});
