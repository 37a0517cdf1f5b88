import { expect, test } from "vitest";
import { handlesOf } from "./handles";
import { NODE } from "./layout";

test("a node without parts has one end in the middle of each side", () => {
  const ends = handlesOf({ direction: "right", reads: true, ports: [null] });
  expect(ends.map(({ type, x, y }) => [type, x, y])).toEqual([
    ["target", 0, NODE.height / 2],
    ["source", NODE.width, NODE.height / 2],
  ]);
});

test("its parts stand side by side, and what reads nothing has no target", () => {
  const ends = handlesOf({ direction: "down", reads: false, ports: ["a", "b", "c"] });
  expect(ends.map(({ id, x, y }) => [id, x, y])).toEqual([
    ["a", NODE.width / 4, NODE.height],
    ["b", NODE.width / 2, NODE.height],
    ["c", (NODE.width * 3) / 4, NODE.height],
  ]);
});
