import { expect, it } from "vitest";
import type { FlowKindView, FlowNodeView } from "../../../api/types.gen";
import { closesCircle, columnsBefore, connected, edgesOf, freshId, neighbour } from "./graph";

const node = (id: string, kind: string, from: string[] = [], columns: string[] = []): FlowNodeView => ({
  id,
  kind,
  from,
  description: null,
  config: null,
  line: 1,
  ports: [{ name: id, columns: columns.map((name) => ({ name, type: "Int64", nullable: true })) }],
  problem: null,
});
const kind = (name: string, reads: string): FlowKindView => ({
  name,
  reads,
  summary: "",
  description: "",
  example: "",
  schema: {},
});
const KINDS = [
  kind("source", "none"),
  kind("filter", "one"),
  kind("join", "two"),
  kind("union", "many"),
  kind("split", "one"),
];
const NODES = [
  node("a", "source", [], ["x", "y"]),
  node("parts", "split", ["a"]),
  node("b", "filter", ["parts.train"], ["x", "z"]),
  node("j", "join", ["a", "b"]),
];

it("draws an arrow for each input, with its part and its side", () => {
  expect(edgesOf(NODES, KINDS)).toEqual([
    { from: "a", port: "a", to: "parts", at: 0, label: undefined },
    { from: "parts", port: "parts.train", to: "b", at: 0, label: "train" },
    { from: "a", port: "a", to: "j", at: 0, label: "left" },
    { from: "b", port: "b", to: "j", at: 1, label: "right" },
  ]);
  expect(edgesOf([node("c", "filter", ["gone"])], KINDS)).toEqual([]);
});

const at = (reads: string, ...from: string[]) => connected(node("n", "k", from), "new", reads);

it("connects as many as a kind reads", () => {
  expect(at("none")).toBeNull();
  expect(at("one", "old")).toEqual(["new"]);
  expect(at("two", "old")).toEqual(["old", "new"]);
  expect(at("two", "old", "older")).toEqual(["old", "new"]);
  expect(at("many", "old", "older")).toEqual(["old", "older", "new"]);
  expect(at("many", "new")).toBeNull();
});

it("knows circles, names, columns and neighbours", () => {
  expect(closesCircle(NODES, "j", "a")).toBe(true);
  expect(closesCircle(NODES, "a", "j")).toBe(false);
  expect(freshId(NODES, "b")).toBe("b_2");
  expect(freshId(NODES, "raw/x y.csv")).toBe("raw_x_y_csv");
  expect(columnsBefore({ nodes: NODES } as never, NODES[3]!)).toEqual(["x", "y", "z"]);
  const places = new Map([
    ["a", { x: 0, y: 0 }],
    ["b", { x: 200, y: 80 }],
    ["c", { x: 200, y: -90 }],
    ["d", { x: 0, y: 100 }],
  ]);
  expect(neighbour(places, "a", "ArrowRight")).toBe("b");
  expect(neighbour(places, "a", "ArrowDown")).toBe("d");
  expect(neighbour(places, "a", "ArrowLeft")).toBeNull();
});
