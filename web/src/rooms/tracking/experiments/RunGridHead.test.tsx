import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import { RunGridHead } from "./RunGridHead";

afterEach(cleanup);

const COLUMNS = [{ key: "metrics.auc", name: "auc", family: "metrics" as const, index: 6 }];

function head(sort?: string) {
  const onSort = vi.fn();
  const all = { checked: false, some: false, label: "select the first runs", toggle: vi.fn() };
  render(
    <table>
      <RunGridHead columns={COLUMNS} before={0} after={0} sort={sort} onSort={onSort} all={all} />
    </table>,
  );
  return { onSort, all };
}

it("sorts by a click, and by a further key with Shift", () => {
  const { onSort } = head();
  fireEvent.click(screen.getByText("auc"));
  expect(onSort).toHaveBeenLastCalledWith("metrics.auc", false);
  fireEvent.click(screen.getByText("Run"), { shiftKey: true });
  expect(onSort).toHaveBeenLastCalledWith("name", true);
});

it("tells the first key of a sort to assistive technology, and the place of each to the eye", () => {
  head("-metrics.auc,name");
  const [first, second] = ["auc", "Run"].map((name) => screen.getByText(name).closest("th"));
  expect(first?.getAttribute("aria-sort")).toBe("descending");
  expect(second?.hasAttribute("aria-sort")).toBe(false);
  expect(second?.textContent).toBe("Run▲2");
});

it("selects all from its box", () => {
  const { all } = head();
  fireEvent.click(screen.getByLabelText("select the first runs"));
  expect(all.toggle).toHaveBeenCalled();
});
