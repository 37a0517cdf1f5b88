import { expect, it } from "vitest";
import { outsideName } from "./outsideName";

it("keeps the last part of a key", () => {
  expect(outsideName("spark://cluster/load")).toBe("load");
  expect(outsideName("postgres://crm:5432/crm.public.customers")).toBe("crm.public.customers");
  expect(outsideName("file//data/raw/")).toBe("raw");
  expect(outsideName("dbt")).toBe("dbt");
});
