import { expect, it } from "vitest";
import { isEmpty, rulesOf, typed } from "./rules";

it("reads what it shows", () => {
  const rules = {
    delete_after_days: 90,
    keep_best: { count: 3, metric: "auc", smallest: false },
    keep_newest: 5,
    keep_tagged: ["paper", "team=a"],
    purge_after_days: 30,
  };
  expect(rulesOf(typed(rules))).toEqual(rules);
});

it("leaves out what is not typed, and half of a rule for the server to refuse", () => {
  const empty = typed(null);
  expect(isEmpty(empty)).toBe(true);
  expect(rulesOf(empty)).toEqual({
    delete_after_days: null,
    keep_best: null,
    keep_newest: null,
    keep_tagged: [],
    purge_after_days: null,
  });
  expect(rulesOf({ ...empty, bestMetric: "loss" }).keep_best).toEqual({ count: 0, metric: "loss", smallest: false });
  expect(rulesOf({ ...empty, deleteAfter: "soon" }).delete_after_days).toBeNull();
});
