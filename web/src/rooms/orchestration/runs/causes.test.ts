import { expect, it } from "vitest";
import { causeGroups, starter } from "./causes";

it("knows what starts runs, and takes in the names of other orchestrators", () => {
  const groups = causeGroups(["airflow", "window", "airflow"]);
  expect(groups.at(-1)).toEqual({ label: "Other systems", options: [{ value: "airflow", label: "airflow" }] });
  const values = groups.flatMap(({ options }) => options.map(({ value }) => value));
  expect(values).toContain("window");
  expect(values).toContain("cron,recurrence");
  expect(new Set(values).size).toBe(values.length);
  expect(causeGroups([]).some(({ label }) => label === "Other systems")).toBe(false);
  expect(starter("recurrence")).toBe("its recurrence");
  expect(starter("airflow")).toBe("airflow");
});
