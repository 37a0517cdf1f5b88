import { expect, it } from "vitest";
import { allKeys, columnOf, shownColumns } from "./columns";

const keys = { metric_keys: ["auc", "loss"], param_keys: ["depth"] };
const shown = (chosen: string[]) => shownColumns(keys, chosen).map((column) => column.key);

it("shows the first columns until some are chosen", () => {
  expect(shown([])).toEqual(["metrics.auc", "metrics.loss", "params.depth"]);
  expect(shown(["params.depth", "metrics.auc"])).toEqual(["params.depth", "metrics.auc"]);
});

it("does not begin with what the machine did", () => {
  const logged = { metric_keys: ["auc", "system/cpu"], param_keys: [] };
  expect(shownColumns(logged, []).map((column) => column.key)).toEqual(["metrics.auc"]);
});

it("keeps a chosen column that the newest runs did not log", () => {
  expect(shown(["metrics.old"])).toEqual(["metrics.old"]);
});

it("leaves out what is no column", () => expect(shown(["metrics.auc", "nonsense"])).toEqual(["metrics.auc"]));

it("reads names with dots", () => expect(columnOf("metrics.val.auc")?.name).toBe("val.auc"));

it("offers every name once", () => {
  expect(allKeys(keys).slice(0, 3)).toEqual(["metrics.auc", "metrics.loss", "params.depth"]);
});
