import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import { ValuesForm } from "./ValuesForm";

afterEach(cleanup);

const FIELDS = [
  { name: "month", type: "long", required: true, default: 7 },
  { name: "carrier", type: "string", required: true, default: "UA" },
];

it("begins with the example and sends typed values", () => {
  const onSubmit = vi.fn();
  render(<ValuesForm fields={FIELDS} submit="Score" busy={false} label="row" onSubmit={onSubmit} />);
  fireEvent.change(screen.getByLabelText("month"), { target: { value: "8" } });
  fireEvent.click(screen.getByText("Score"));
  expect(onSubmit).toHaveBeenCalledWith({ month: 8, carrier: "UA" });
});

it("keeps a wrong value back and says so at the field", () => {
  const onSubmit = vi.fn();
  render(<ValuesForm fields={FIELDS} submit="Score" busy={false} label="row" onSubmit={onSubmit} />);
  const month = screen.getByLabelText("month");
  fireEvent.change(month, { target: { value: "July" } });
  fireEvent.click(screen.getByText("Score"));
  expect(onSubmit).not.toHaveBeenCalled();
  expect(month.getAttribute("aria-invalid")).toBe("true");
  expect(screen.getByText("not a whole number")).toBeDefined();
});
