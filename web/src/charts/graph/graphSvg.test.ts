import { expect, it } from "vitest";
import { graphSvg } from "./graphSvg";

const NODES = [
  { id: "a", name: "copy <raw>", kind: "copy", status: "failed" },
  { id: "b", name: "features", kind: "flow" },
];

it("draws every node and edge, names as words", () => {
  const text = graphSvg(NODES, [{ from: "a", to: "b" }]);
  expect(text).toContain("copy &lt;raw>");
  expect(text).toContain("copy · failed");
  expect(text.match(/<path /g)).toHaveLength(1);
  expect(text.match(/<rect /g)).toHaveLength(4);
});

it("leaves out an edge to nowhere", () => {
  expect(graphSvg(NODES, [{ from: "a", to: "gone" }])).not.toContain("<path");
});
