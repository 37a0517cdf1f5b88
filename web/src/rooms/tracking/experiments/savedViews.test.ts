import { expect, it } from "vitest";
import { readViews, withView, writeViews } from "./savedViews";

const storage = () => {
  const kept = new Map<string, string>();
  return {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => void kept.set(key, value),
  };
};

it("keeps views by experiment", () => {
  const place = storage();
  writeViews("1", [{ name: "best", search: { sort: "-metrics.auc" } }], place);
  expect(readViews("1", place)).toEqual([{ name: "best", search: { sort: "-metrics.auc" } }]);
  expect(readViews("2", place)).toEqual([]);
});

it("replaces a view of the same name", () => {
  const views = withView([{ name: "best", search: {} }], { name: "best", search: { filter: "a" } });
  expect(views).toEqual([{ name: "best", search: { filter: "a" } }]);
});

it("reads nothing out of what is no list of views", () => {
  const place = storage();
  place.setItem("millrace.views.1", "{not json");
  expect(readViews("1", place)).toEqual([]);
  place.setItem("millrace.views.1", '[{"name": 1}, null]');
  expect(readViews("1", place)).toEqual([]);
});

it("says so if the browser refuses to keep", () => {
  const full = {
    setItem: () => {
      throw new Error("full");
    },
  };
  expect(writeViews("1", [], full)).toBe(false);
});
