import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { ArtifactFile } from "../../../api/types.gen";
import { ArtifactBrowser } from "./ArtifactBrowser";

const FOLDERS: Record<string, ArtifactFile[]> = {
  run: [
    { path: "model", is_dir: true, size_bytes: null },
    { path: "weights.bin", is_dir: false, size_bytes: 2_140_000_000 },
  ],
  "run/model": [{ path: "a b.onnx", is_dir: false, size_bytes: 912 }],
};
let asked: string[] = [];

beforeEach(() => {
  asked = [];
  vi.spyOn(HTMLElement.prototype, "clientHeight", "get").mockReturnValue(600);
  vi.spyOn(HTMLElement.prototype, "clientWidth", "get").mockReturnValue(300);
  vi.stubGlobal("fetch", (url: string) => {
    const path = new URL(url, "http://test").searchParams.get("path") ?? "";
    asked.push(path);
    return Promise.resolve(new Response(JSON.stringify(FOLDERS[path] ?? [])));
  });
});

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

function browser(file?: string, uri = "mlflow-artifacts:/run") {
  const onFile = vi.fn();
  render(
    <QueryClientProvider client={new QueryClient()}>
      <ArtifactBrowser uri={uri} file={file} onFile={onFile} />
    </QueryClientProvider>,
  );
  return onFile;
}

it("reads a folder when it is opened, and not before", async () => {
  const onFile = browser();
  fireEvent.click(await screen.findByText("model"));
  expect(onFile).toHaveBeenCalledWith("model");
  expect(await screen.findByText("a b.onnx")).toBeTruthy();
  expect(asked.filter((path) => path === "run/model")).toHaveLength(1);
  expect(screen.getByRole("link", { name: /Download as ZIP/ }).getAttribute("href")).toBe(
    "/api/artifact-archive?path=run",
  );
});

it("opens a file that is linked to, with the folders that it lies in", async () => {
  browser("model/a b.onnx");
  expect(await screen.findByText("A page does not show files of this kind.")).toBeTruthy();
  expect(screen.getByRole("treeitem", { selected: true }).textContent).toContain("a b.onnx");
  expect(
    screen.getByText("mlflow artifacts download --artifact-uri 'mlflow-artifacts:/run/model/a b.onnx'"),
  ).toBeTruthy();
  const [link] = screen.getAllByRole("link", { name: /^Download/ });
  expect(link?.getAttribute("href")).toBe("/api/2.0/mlflow-artifacts/artifacts/run/model/a%20b.onnx");
});

it("says so if the file is not there, and where files are that it cannot read", async () => {
  browser("gone.txt");
  expect((await screen.findByText("gone.txt")).parentElement?.textContent).toContain("There is no gone.txt");
  cleanup();
  browser(undefined, "s3://bucket/run");
  expect(screen.getByText(/kept elsewhere/)).toBeTruthy();
});

it("is walked by the arrow keys", async () => {
  const onFile = browser();
  await screen.findByText("model");
  const tree = screen.getByRole("tree");
  fireEvent.keyDown(tree, { key: "ArrowRight" });
  await screen.findByText("a b.onnx");
  fireEvent.keyDown(tree, { key: "ArrowRight" });
  fireEvent.keyDown(tree, { key: "Enter" });
  expect(onFile).toHaveBeenCalledWith("model/a b.onnx");
});
