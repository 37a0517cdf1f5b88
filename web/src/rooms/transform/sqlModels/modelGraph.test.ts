import { expect, test } from "vitest";
import type { SqlModelSummary, SqlModels } from "../../../api/types.gen";
import { modelGraph } from "./modelGraph";

const model = (name: string, reads: string[]): SqlModelSummary => ({
  name,
  file: `models/${name}.sql`,
  description: null,
  tags: [],
  materialized: "table",
  reads,
  read_by: [],
  tests: 0,
  version: null,
  rows: null,
  built_at: null,
});

const MODELS: SqlModels = {
  sources: [{ name: "shop.orders", description: null, from: "data:raw", read_by: ["orders"] }],
  models: [
    model("orders", ["shop.orders"]),
    model("people", []),
    model("customers", ["orders", "people"]),
    model("report", ["customers"]),
    model("days", ["orders"]),
  ],
  problems: [],
};

test("the whole graph has every model, source and read", () => {
  const { nodes, edges } = modelGraph(MODELS);
  expect(nodes.map((node) => node.id)).toEqual(["shop.orders", "orders", "people", "customers", "report", "days"]);
  expect(edges).toHaveLength(5);
});

test("around one model there is what it comes from and what comes of it, not what is beside it", () => {
  const { nodes, edges } = modelGraph(MODELS, "customers");
  expect(nodes.map((node) => node.id)).toEqual(["shop.orders", "orders", "people", "customers", "report"]);
  expect(edges).not.toContainEqual({ from: "orders", to: "days" });
});

test("models that read each other in a circle are drawn too", () => {
  const circle = { ...MODELS, models: [model("a", ["b"]), model("b", ["a"])] };
  expect(modelGraph(circle, "a").edges).toHaveLength(2);
});
