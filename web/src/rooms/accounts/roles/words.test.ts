import { expect, it } from "vitest";
import { levels, object } from "./words";

it("names what a permission is on", () => {
  expect(object("experiment", "*")).toBe("all experiments");
  expect(object("experiment", "7", [{ value: "7", name: "flights" }])).toBe("flights");
  expect(object("experiment", "8", [{ value: "7", name: "flights" }])).toBe("8");
  expect(object("something_new", "*")).toBe("all");
});

it("offers of the server as a whole only what there is", () =>
  expect(Object.keys(levels("workspace"))).toEqual(["USE", "MANAGE"]));
