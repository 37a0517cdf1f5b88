import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import { SavedViews } from "./SavedViews";

afterEach(() => {
  cleanup();
  localStorage.clear();
});

it("saves the view under a name, finds it again and lets it go", () => {
  const search = { filter: "metrics.auc > 0.9", sort: "-metrics.auc" };
  const onApply = vi.fn();
  render(<SavedViews experiment="1" search={search} onApply={onApply} />);
  fireEvent.change(screen.getByLabelText("Name of the view"), { target: { value: "best" } });
  fireEvent.click(screen.getByText("Save"));
  cleanup();

  render(<SavedViews experiment="1" search={{}} onApply={onApply} />);
  fireEvent.click(screen.getByText("best"));
  expect(onApply).toHaveBeenCalledWith(search);
  fireEvent.click(screen.getByLabelText("Delete the view best"));
  expect(screen.queryByText("best")).toBeNull();
  expect(screen.getByText(/No view saved/)).toBeDefined();
});
