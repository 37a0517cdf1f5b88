import { expect, it } from "vitest";
import { place } from "./layout";

const node = (id: string) => ({ id, name: id, kind: "sql" });

it("puts a step right of what it needs and ignores edges to nowhere", () => {
  const places = place(
    [node("a"), node("b")],
    [
      { from: "a", to: "b" },
      { from: "ghost", to: "b" },
    ],
  );
  expect(places.size).toBe(2);
  expect(places.get("b")!.x).toBeGreaterThan(places.get("a")!.x);
});
