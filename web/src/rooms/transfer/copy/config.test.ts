import { expect, it } from "vitest";
import { nameOf, only, plansOf, readConfig, sourceOnly, withOptions, withPlans } from "./config";

const COLUMNS = [
  { name: "id", type: "Int64" },
  { name: "day", type: "Utf8" },
];

it("plans are what the config says, and the config says what was planned", () => {
  const config = { from: "a.csv", drop: ["id"], rename: { day: "at" }, columns: { day: "date" }, to: "data:a" };
  const plans = plansOf(config, COLUMNS);
  expect(plans).toEqual([
    { source: "id", read: "Int64", kept: false, name: "id", type: "" },
    { source: "day", read: "Utf8", kept: true, name: "at", type: "date" },
  ]);
  expect(withPlans(config, plans)).toEqual(config);
  const all = plans.map((plan) => ({ ...plan, kept: true, name: plan.source, type: "" }));
  expect(withPlans(config, all)).toEqual({ from: "a.csv", to: "data:a" });
});

it("tells the source from the sink", () => {
  const config = { from: "a.csv", delimiter: ";", rename: { a: "b" }, to: "data:a", write: "append" };
  expect(sourceOnly(config)).toEqual({ from: "a.csv", delimiter: ";" });
  expect(withOptions(config, ["delimiter", "header"], { header: false })).toEqual({
    from: "a.csv",
    rename: { a: "b" },
    to: "data:a",
    write: "append",
    header: false,
  });
  const schema = { properties: { a: { type: "string" }, b: {} }, $defs: { X: {} }, required: ["a"] };
  expect(only(schema, ["a", "c"])).toEqual({
    type: "object",
    properties: { a: { type: "string" } },
    required: [],
    $defs: { X: {} },
  });
});

it("reads only what is a config, and names the pipeline after the sink", () => {
  expect(readConfig('{"from": "a.csv"}')).toEqual({ from: "a.csv" });
  expect([readConfig("["), readConfig("[]"), readConfig(undefined)]).toEqual([{}, {}, {}]);
  expect(["data:orders", "out/My File.csv", "shop:public.orders", "9"].map((to) => nameOf({ to }))).toEqual([
    "copy_orders",
    "copy_my_file",
    "copy_orders",
    "copy_table",
  ]);
});
