import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { useState } from "react";
import { afterEach, expect, it, vi } from "vitest";
import { HIDDEN } from "./SecretField";
import { SchemaField } from "./SchemaField";
import { shapeOf } from "./shape";

afterEach(cleanup);

const AGGREGATE = shapeOf({
  type: "object",
  properties: {
    by: { anyOf: [{ type: "string" }, { type: "array", items: { type: "string" } }], description: "Columns." },
    values: { type: "object", additionalProperties: { type: "string" } },
    password: { type: "string" },
  },
  required: ["values"],
});

function form(first: unknown, secrets?: Set<string>) {
  const seen = vi.fn();
  function Held() {
    const [value, setValue] = useState(first);
    return (
      <SchemaField
        shape={AGGREGATE}
        value={value}
        label="aggregate"
        words={["carrier"]}
        secrets={secrets}
        onChange={(next) => {
          seen(next);
          setValue(next);
        }}
      />
    );
  }
  render(<Held />);
  return seen;
}

it("changes items, pairs and their names, and leaves the rest as it is", () => {
  const seen = form({ by: "carrier", values: { n: "count(*)" } });
  fireEvent.click(screen.getByRole("button", { name: "Add to by" }));
  fireEvent.change(screen.getByRole("combobox", { name: "by, 2" }), { target: { value: "origin" } });
  expect(seen).toHaveBeenLastCalledWith({ by: ["carrier", "origin"], values: { n: "count(*)" } });
  fireEvent.change(screen.getByRole("combobox", { name: "new name in values" }), { target: { value: "mean" } });
  fireEvent.click(screen.getByRole("button", { name: "Add to values" }));
  fireEvent.change(screen.getByRole("combobox", { name: "mean of values" }), { target: { value: "avg(x)" } });
  expect(seen).toHaveBeenLastCalledWith({
    by: ["carrier", "origin"],
    values: { n: "count(*)", mean: "avg(x)" },
  });
  const name = screen.getByRole("textbox", { name: "name 1 of values" });
  fireEvent.change(name, { target: { value: "flights" } });
  fireEvent.blur(name);
  expect(Object.keys(seen.mock.lastCall?.[0].values)).toEqual(["flights", "mean"]);
});

it("takes what need not be there away when it is emptied", () => {
  const seen = form({ by: ["carrier"], values: {} });
  fireEvent.click(screen.getByRole("button", { name: "Remove by, 1" }));
  expect(seen).toHaveBeenLastCalledWith({ values: {} });
});

it("never shows a secret, and hands on a new one", () => {
  const seen = form({ values: {}, password: HIDDEN }, new Set(["password"]));
  fireEvent.click(screen.getByRole("button", { name: "Change password" }));
  const field = screen.getByLabelText("password");
  expect(field.getAttribute("type")).toBe("password");
  fireEvent.change(field, { target: { value: "s3cret" } });
  expect(seen).toHaveBeenLastCalledWith({ values: {}, password: "s3cret" });
});

const CONNECTION = shapeOf({
  type: "object",
  properties: {
    auth: {
      oneOf: [
        { const: "none", description: "Nothing." },
        { type: "object", properties: { bearer: { type: "string" } }, required: ["bearer"] },
        { type: "object", properties: { basic: { type: "object", properties: { user: { type: "string" } } } } },
      ],
    },
    headers: { type: "object", additionalProperties: { type: "string" } },
  },
  required: ["auth", "headers"],
});

it("tells alternatives apart, and hides all values of a map of secrets", () => {
  const seen = vi.fn();
  render(
    <SchemaField
      shape={CONNECTION}
      value={{ auth: { bearer: HIDDEN }, headers: { "X-Shop": HIDDEN } }}
      label="rest"
      secrets={new Set(["bearer", "headers"])}
      onChange={seen}
    />,
  );
  const options = [...screen.getByRole<HTMLSelectElement>("combobox", { name: "how auth is given" }).options];
  expect(options.map(({ text }) => text)).toEqual(["none", "bearer", "basic"]);
  fireEvent.click(screen.getByRole("button", { name: "Change X-Shop" }));
  expect(seen).toHaveBeenLastCalledWith({ auth: { bearer: HIDDEN }, headers: { "X-Shop": "" } });
  expect(screen.getByLabelText<HTMLInputElement>("X-Shop of headers").type).toBe("password");
});
