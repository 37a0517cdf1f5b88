import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, expect, it } from "vitest";
import { Tags } from "./Tags";

afterEach(cleanup);

it("shows tags, but not MLflow's own", () => {
  render(<Tags tags={{ team: "a", checked: "", "mlflow.note.content": "x", long: "y".repeat(99) }} />);
  expect(screen.getAllByRole("listitem").map((tag) => tag.textContent)).toEqual([
    "team: a",
    "checked",
    `long: ${"y".repeat(60)}…`,
  ]);
});

it("shows nothing without tags", () => {
  const { container } = render(<Tags tags={{}} />);
  expect(container.innerHTML).toBe("");
});
