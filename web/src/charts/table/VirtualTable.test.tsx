import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { VirtualTable } from "./VirtualTable";

beforeEach(() => {
  vi.spyOn(HTMLElement.prototype, "clientHeight", "get").mockReturnValue(600);
  vi.spyOn(HTMLElement.prototype, "clientWidth", "get").mockReturnValue(600);
});
afterEach(cleanup);

it("has only the rows in sight, and no more columns than a page draws", () => {
  const columns = Array.from({ length: 400 }, (_, at) => ({ name: `c${at}` }));
  const rows = Array.from({ length: 10_000 }, (_, at) => columns.map(() => at));
  render(<VirtualTable columns={columns} rows={rows} label="rows" />);
  expect(screen.getByRole("table").getAttribute("aria-rowcount")).toBe("10001");
  expect(screen.getAllByRole("row").length).toBeLessThan(60);
  expect(screen.getByText("The first 300 of 400 columns.")).toBeTruthy();
});

it("shows years as they are, and what is absent as such", () => {
  const onSelect = vi.fn();
  const columns = [{ name: "year" }, { name: "note" }, { name: "more" }];
  render(<VirtualTable columns={columns} rows={[[2013, null, { a: [1] }]]} label="rows" onSelect={onSelect} />);
  expect(screen.getAllByRole("cell").map((cell) => cell.textContent)).toEqual(["2013", "null", '{"a":[1]}']);
  fireEvent.click(screen.getByText("2013"));
  expect(onSelect).toHaveBeenCalledWith(0);
});
