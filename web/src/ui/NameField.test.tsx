import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import { NameField } from "./NameField";

afterEach(cleanup);

const field = (none?: string) => {
  const onChange = vi.fn();
  render(<NameField label="across" names={["auc", "loss"]} value="auc" none={none} onChange={onChange} />);
  return { input: screen.getByLabelText<HTMLInputElement>("across"), onChange };
};

it("gives a name once it is whole", () => {
  const { input, onChange } = field();
  fireEvent.change(input, { target: { value: "lo" } });
  expect(onChange).not.toHaveBeenCalled();
  fireEvent.change(input, { target: { value: "loss" } });
  expect(onChange).toHaveBeenCalledWith("loss");
});

it("goes back to the last name if what was typed is none", () => {
  const { input } = field();
  fireEvent.change(input, { target: { value: "nothing" } });
  fireEvent.blur(input);
  expect(input.value).toBe("auc");
});

it("takes an empty field only where that means something", () => {
  const must = field();
  fireEvent.change(must.input, { target: { value: "" } });
  expect(must.onChange).not.toHaveBeenCalled();
  cleanup();
  const may = field("nothing");
  fireEvent.change(may.input, { target: { value: "" } });
  expect(may.onChange).toHaveBeenCalledWith("");
});
