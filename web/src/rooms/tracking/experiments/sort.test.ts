import { expect, it } from "vitest";
import { nextSort, sortPlace } from "./sort";

it("turns a sort round and then off", () => {
  expect(nextSort(undefined, "metrics.auc")).toBe("-metrics.auc");
  expect(nextSort("-metrics.auc", "metrics.auc")).toBe("metrics.auc");
  expect(nextSort("metrics.auc", "metrics.auc")).toBeUndefined();
});

it("adds a second key and turns it without touching the first", () => {
  expect(nextSort("-metrics.auc", "name", true)).toBe("-metrics.auc,-name");
  expect(nextSort("-metrics.auc,-name", "name", true)).toBe("-metrics.auc,name");
  expect(nextSort("-metrics.auc,name", "name", true)).toBe("-metrics.auc");
});

it("a plain click leaves one key", () => expect(nextSort("-metrics.auc,-name", "name")).toBe("name"));

it("numbers the keys if there are several", () => {
  expect(sortPlace("-metrics.auc", "metrics.auc")).toEqual({ descending: true, place: null });
  expect(sortPlace("-metrics.auc,name", "name")).toEqual({ descending: false, place: 2 });
  expect(sortPlace("-metrics.auc", "name")).toBeNull();
});
