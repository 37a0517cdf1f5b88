import { expect, it } from "vitest";
import type { ArtifactFile } from "../../../api/types.gen";
import { storePath } from "./addresses";
import { languageOf, tooLarge, viewerOf } from "./kinds";
import { foldersAbove, type Listing, treeRows } from "./tree";

const file = (path: string, size: number): ArtifactFile => ({ path, is_dir: false, size_bytes: size });
const folder = (path: string): ArtifactFile => ({ path, is_dir: true, size_bytes: null });

it("puts folders first, numbers in their order, and only what is open below", () => {
  const listings: Record<string, Listing> = {
    "": [file("step10.png", 1), file("step9.png", 2), folder("model"), folder("empty")],
    model: [folder("data"), file("MLmodel", 3)],
    empty: [],
  };
  const lines = treeRows((path) => listings[path] ?? "loading", new Set(["model", "model/data", "empty"]));
  expect(lines.map(({ path, depth, note }) => `${"  ".repeat(depth)}${path} ${note ?? ""}`.trimEnd())).toEqual([
    "empty",
    "  empty/ empty",
    "model",
    "  model/data",
    "    model/data/ loading",
    "  model/MLmodel",
    "step9.png",
    "step10.png",
  ]);
});

it("knows the folders above a file", () => {
  expect(foldersAbove("a/b/c.txt")).toEqual(["a", "a/b"]);
  expect(foldersAbove("c.txt")).toEqual([]);
});

it("chooses a viewer by the name and refuses what is too large", () => {
  expect(["a.PNG", "MLmodel", "x.tsv", "m.onnx", "page.html", "README.md", "log"].map(viewerOf)).toEqual([
    "image",
    "text",
    "separated",
    "none",
    "html",
    "markdown",
    "text",
  ]);
  expect(languageOf("model/MLmodel")).toBe("yaml");
  expect(languageOf("train.py")).toBe("code");
  expect(tooLarge("json", 20_000_001)).toBe(20_000_000);
  expect(tooLarge("text", 1e12)).toBeNull();
});

it("knows which files this server keeps", () => {
  expect(storePath("mlflow-artifacts:/1/abc/artifacts")).toBe("1/abc/artifacts");
  expect(storePath("mlflow-artifacts:/")).toBe("");
  expect(storePath("s3://bucket/x")).toBeNull();
});
