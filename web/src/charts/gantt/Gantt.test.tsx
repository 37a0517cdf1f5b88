import { MantineProvider } from "@mantine/core";
import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { GanttStep } from "./bars";
import { Gantt } from "./Gantt";

// The window of rows is as high as it says: there is no layout here.
beforeEach(() => {
  vi.spyOn(HTMLElement.prototype, "clientHeight", "get").mockReturnValue(460);
  vi.spyOn(HTMLElement.prototype, "clientWidth", "get").mockReturnValue(800);
});
afterEach(() => {
  cleanup();
  vi.restoreAllMocks();
});

const shown = (steps: GanttStep[], onSelect?: (id: string) => void) =>
  render(
    <MantineProvider>
      <Gantt steps={steps} now={1000} onSelect={onSelect} />
    </MantineProvider>,
  );

const step = (index: number): GanttStep => ({
  id: `s${index}`,
  status: "succeeded",
  ready: index,
  start: index + 2,
  end: index + 10,
  attempts: [{ number: 1, status: "succeeded", start: index + 2, end: index + 10 }],
  critical: index % 100 === 0,
});

const many = Array.from({ length: 500 }, (_, index) => step(index));

it("draws some of five hundred steps and says what one of them did", () => {
  const picked = vi.fn();
  shown(many, picked);
  expect(screen.getAllByRole("button", { name: /^s\d+, succeeded/ }).length).toBeLessThan(60);
  const first = screen.getByRole("button", { name: "s0, succeeded, waited 2 ms, worked 8 ms, on the critical path" });
  fireEvent.focus(first);
  expect(screen.getByText("s0: waited 2 ms for a slot, succeeded after 8 ms; on the critical path")).toBeDefined();
  fireEvent.click(first);
  expect(picked).toHaveBeenCalledWith("s0");
});

it("opens the items of a step below it, and asks for more of them", () => {
  const opened = vi.fn();
  const more = vi.fn();
  const picked = vi.fn();
  const each = { ...step(1), id: "each", items: 1500 };
  const item = { ...step(2), id: "each[7]", name: "eu" };
  render(
    <MantineProvider>
      <Gantt
        steps={[step(0), each]}
        now={1000}
        onSelect={picked}
        open={{ of: "each", items: [item], more, loading: false }}
        onOpen={opened}
      />
    </MantineProvider>,
  );
  const toggle = screen.getByRole("button", { name: "items of each" });
  expect(toggle.getAttribute("aria-expanded")).toBe("true");
  fireEvent.click(toggle);
  expect(opened).toHaveBeenCalledWith("each");
  expect(screen.getByRole("button", { name: /^each × 1,500, succeeded/ })).toBeDefined();
  fireEvent.click(screen.getByRole("button", { name: /^eu, succeeded/ }));
  expect(picked).toHaveBeenCalledWith("each[7]");
  fireEvent.click(screen.getByRole("button", { name: "Show more items of each" }));
  expect(more).toHaveBeenCalledOnce();
});

it("shows the critical path alone", () => {
  shown(many);
  fireEvent.click(screen.getByLabelText("critical path only"));
  const names = screen
    .getAllByRole("button", { name: /^s\d+, succeeded/ })
    .map((row) => row.querySelector(".gantt-name")?.textContent);
  expect(names).toEqual(["s0", "s100", "s200", "s300", "s400"]);
});

it("says that nothing has started", () => {
  shown([{ ...step(1), ready: null, start: null, end: null, attempts: [] }]);
  expect(screen.getByText("No step has started.")).toBeDefined();
});
