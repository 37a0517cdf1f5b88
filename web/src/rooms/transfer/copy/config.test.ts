import { expect, it } from "vitest";
import {
  nameOf,
  only,
  placeOf,
  plansOf,
  readConfig,
  sourceOnly,
  targetOf,
  targetOptions,
  targetSchema,
  withOptions,
  withPlans,
} from "./config";

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

it("says of a sink how it is written, as far as there is something to say", () => {
  expect(targetOf("out/a.csv", {})).toBe("out/a.csv");
  expect(targetOf("", {})).toBeUndefined();
  const to = targetOf("out/a.csv", { delimiter: ";" });
  expect(to).toEqual({ path: "out/a.csv", delimiter: ";" });
  expect([placeOf(to), placeOf("data:a"), placeOf(undefined), placeOf({ path: 1 })]).toEqual([
    "out/a.csv",
    "data:a",
    "",
    "",
  ]);
  expect([targetOptions(to), targetOptions("data:a")]).toEqual([{ delimiter: ";" }, {}]);
  expect(nameOf({ to })).toBe("copy_a");
});

it("knows what can be said of files and of web APIs", () => {
  const schema = {
    properties: { to: { $ref: "#/$defs/Target" } },
    $defs: {
      Target: { anyOf: [{ type: "string" }, { $ref: "#/$defs/FileTarget" }, { $ref: "#/$defs/WebTarget" }] },
      FileTarget: { type: "object", properties: { path: {}, delimiter: { type: "string" } }, required: ["path"] },
      WebTarget: { type: "object", properties: { path: {}, method: { type: "string" } }, required: ["path"] },
    },
  };
  const kinds = new Map([
    ["lake", "s3"],
    ["crm", "rest"],
    ["shop", "postgres"],
  ]);
  const said = (place: string) => Object.keys(targetSchema(schema, place, kinds)?.properties ?? {});
  expect(["out/a.csv", "s3://bucket/a.csv", "lake:a.csv"].map(said)).toEqual([
    ["delimiter"],
    ["delimiter"],
    ["delimiter"],
  ]);
  expect(said("crm:contacts/{id}")).toEqual(["method"]);
  expect(["", "data:a", "delta:lake/a", "shop:public.a", "gone:a"].flatMap(said)).toEqual([]);
});
