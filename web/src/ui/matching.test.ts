import { expect, it } from "vitest";
import { matching } from "./matching";

const NAMES = ["metrics.val_auc", "metrics.train_auc", "params.depth"];

it("finds every word in any order and case", () => {
  expect(matching(NAMES, "AUC val")).toEqual(["metrics.val_auc"]);
  expect(matching(NAMES, "metrics")).toHaveLength(2);
});

it("gives everything to an empty search", () => expect(matching(NAMES, "  ")).toEqual(NAMES));
