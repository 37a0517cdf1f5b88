import { expect, it } from "vitest";
import { arrange, place } from "./layout";

const node = (id: string) => ({ id, name: id, kind: "sql" });
const chain = ["a", "b", "c", "d", "e", "f"];
const links = chain.slice(1).map((to, index) => ({ from: chain[index] ?? "", to }));

it("puts a step right of what it needs and ignores edges to nowhere", () => {
  const { places } = place(
    [node("a"), node("b")],
    [
      { from: "a", to: "b" },
      { from: "ghost", to: "b" },
    ],
    "right",
  );
  expect(places.size).toBe(2);
  expect(places.get("b")!.x).toBeGreaterThan(places.get("a")!.x);
});

it("turns a long chain downwards where its words would become too small", () => {
  expect(arrange(chain.map(node), links, 1200).direction).toBe("right");
  const narrow = arrange(chain.map(node), links, 360);
  expect(narrow.direction).toBe("down");
  expect(narrow.places.get("b")!.y).toBeGreaterThan(narrow.places.get("a")!.y);
});

it("keeps what is as wide downwards from left to right", () => {
  const fan = chain.map((id) => ({ from: "root", to: id }));
  expect(arrange([node("root"), ...chain.map(node)], fan, 300).direction).toBe("right");
});
