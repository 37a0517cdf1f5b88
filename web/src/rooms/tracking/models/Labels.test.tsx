import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, expect, it } from "vitest";
import { Labels } from "./Labels";

afterEach(cleanup);

it("shows tags, but not MLflow's own", () => {
  render(<Labels tags={{ team: "a", checked: "", "mlflow.note.content": "x", long: "y".repeat(99) }} />);
  expect(screen.getAllByRole("listitem").map((tag) => tag.textContent)).toEqual([
    "team: a",
    "checked",
    `long: ${"y".repeat(60)}…`,
  ]);
});

it("shows nothing without tags", () => {
  const { container } = render(<Labels tags={{}} />);
  expect(container.innerHTML).toBe("");
});
