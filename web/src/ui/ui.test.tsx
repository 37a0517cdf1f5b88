import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { useState } from "react";
import { afterEach, expect, it, vi } from "vitest";
import { Answer } from "./Answer";
import { DataTable } from "./DataTable";
import { Failure } from "./Failure";
import { Status } from "./Status";
import { Tabs } from "./Tabs";

afterEach(cleanup);

it("says a state in a word, not by colour alone", () => {
  const { container } = render(<Status status="cached" />);
  expect(container.textContent).toBe("reused");
  expect(container.querySelector("svg")).not.toBeNull();
});

it("shows an unknown state as it is", () => {
  render(<Status status="half_done" />);
  expect(screen.getByTitle("half done")).toBeDefined();
});

it("explains a failure with its hints and names", () => {
  render(
    <Failure
      problem={{ message: "there is no step `trian`", hints: ["did you mean `train`?"], code: "unknown-step" }}
    />,
  );
  expect(screen.getByRole("alert").textContent).toContain("there is no step trian");
  expect(screen.getByText("trian").tagName).toBe("CODE");
  expect(screen.getByText("unknown-step")).toBeDefined();
});

it("shows the outline, then the answer, then keeps the answer when a refresh fails", () => {
  const refetch = vi.fn();
  const ask = (query: { data?: string; error: unknown }) => (
    <Answer query={{ data: query.data, error: query.error, refetch }}>{(data) => <p>{data}</p>}</Answer>
  );
  const { rerender } = render(ask({ error: null }));
  expect(screen.getByRole("status")).toBeDefined();
  rerender(ask({ error: new Error("broken") }));
  fireEvent.click(screen.getByText("Try again"));
  expect(refetch).toHaveBeenCalledOnce();
  rerender(ask({ data: "here", error: new Error("broken") }));
  expect(screen.getByText("here")).toBeDefined();
});

function Example() {
  const [tab, setTab] = useState<"one" | "two">("one");
  const tabs = [
    { key: "one" as const, label: "One" },
    { key: "two" as const, label: "Two" },
  ];
  return (
    <Tabs tabs={tabs} value={tab} onChange={setTab} label="example">
      {tab}
    </Tabs>
  );
}

it("moves between tabs with the arrow keys", () => {
  render(<Example />);
  fireEvent.keyDown(screen.getByRole("tablist"), { key: "ArrowLeft" });
  expect(screen.getByRole("tab", { selected: true }).textContent).toBe("Two");
  expect(screen.getByRole("tabpanel").textContent).toBe("two");
});

it("offers the export only for tables worth it", () => {
  const columns = [{ key: "n", header: "N", value: (row: number) => row }];
  const { rerender } = render(<DataTable label="t" rows={[1]} rowKey={String} columns={columns} />);
  expect(screen.queryByText("Export CSV")).toBeNull();
  rerender(<DataTable label="t" rows={[1, 2, 3, 4, 5, 6]} rowKey={String} columns={columns} />);
  expect(screen.getByText("Export CSV")).toBeDefined();
});
