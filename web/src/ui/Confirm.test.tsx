import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Confirm } from "./Confirm";

function show(this: HTMLDialogElement) {
  this.open = true;
}
function hide(this: HTMLDialogElement) {
  this.open = false;
}

beforeEach(() => {
  // The test's document has no modal dialogs.
  HTMLDialogElement.prototype.showModal = show;
  HTMLDialogElement.prototype.close = hide;
});
afterEach(cleanup);

it("does nothing until it is told to, and says why it failed", () => {
  const [confirm, close] = [vi.fn(), vi.fn()];
  const ask = (error?: unknown, idle = false) => (
    <Confirm title="Sure?" action="Purge" error={error} idle={idle} onConfirm={confirm} onClose={close}>
      3 runs
    </Confirm>
  );
  const { rerender } = render(ask());
  fireEvent.click(screen.getByText("Keep"));
  expect(close).toHaveBeenCalledOnce();
  expect(confirm).not.toHaveBeenCalled();
  fireEvent.click(screen.getByText("Purge"));
  expect(confirm).toHaveBeenCalledOnce();
  rerender(ask(new Error("in use"), true));
  expect(screen.getByRole("alert").textContent).toContain("in use");
  expect(screen.getByText("Purge")).toHaveProperty("disabled", true);
});
