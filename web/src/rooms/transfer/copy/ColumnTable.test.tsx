import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import { ColumnTable } from "./ColumnTable";

afterEach(cleanup);

const PLANS = [
  { source: "id", read: "Int64", kept: true, name: "id", type: "" },
  { source: "amount", read: "Float64", kept: true, name: "amount", type: "" },
];

it("leaves out, renames and types columns one by one", () => {
  const onChange = vi.fn();
  render(<ColumnTable plans={PLANS} sample={[1, null]} onChange={onChange} />);
  expect(screen.getByText("null")).toBeTruthy();
  fireEvent.click(screen.getByRole("checkbox", { name: "copy id" }));
  expect(onChange).toHaveBeenLastCalledWith([{ ...PLANS[0], kept: false }, PLANS[1]]);
  const name = screen.getByRole("textbox", { name: "name of amount" });
  fireEvent.change(name, { target: { value: " total " } });
  fireEvent.blur(name);
  expect(onChange).toHaveBeenLastCalledWith([PLANS[0], { ...PLANS[1], name: "total" }]);
  const type = screen.getByRole("combobox", { name: "type of amount" });
  fireEvent.change(type, { target: { value: "decimal(10,2)" } });
  fireEvent.blur(type);
  expect(onChange).toHaveBeenLastCalledWith([PLANS[0], { ...PLANS[1], type: "decimal(10,2)" }]);
});
