import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import { FilterField } from "./FilterField";

afterEach(cleanup);

const field = (filter: string, error?: Error) => {
  const onFilter = vi.fn();
  const view = render(
    <FilterField filter={filter} example="e" error={error} old={Boolean(error)} onFilter={onFilter} />,
  );
  return { ...view, onFilter, input: screen.getByLabelText<HTMLInputElement>("Filter") };
};

it("applies the text when it is sent, not while it is typed", () => {
  const { input, onFilter } = field("");
  fireEvent.change(input, { target: { value: " metrics.auc > 0.9 " } });
  expect(onFilter).not.toHaveBeenCalled();
  fireEvent.submit(input);
  expect(onFilter).toHaveBeenCalledWith("metrics.auc > 0.9");
});

it("keeps a wrong filter as it was typed and says why, tied to the field", () => {
  const { input } = field("metrics.auc >", new Error("`>` has nothing on its right"));
  expect(input.value).toBe("metrics.auc >");
  expect(input.getAttribute("aria-invalid")).toBe("true");
  const said = document.getElementById(input.getAttribute("aria-describedby") ?? "");
  expect(said?.textContent).toContain("has nothing on its right");
  expect(said?.textContent).toContain("from before");
});

it("clears", () => {
  const { onFilter } = field("a = 'b'");
  fireEvent.click(screen.getByText("Clear"));
  expect(onFilter).toHaveBeenCalledWith("");
});

it("follows the address, for the way back", () => {
  const { input, rerender, onFilter } = field("one");
  rerender(<FilterField filter="two" example="e" error={null} old={false} onFilter={onFilter} />);
  expect(input.value).toBe("two");
});
