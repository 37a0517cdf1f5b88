import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, expect, it } from "vitest";
import { Prediction } from "./Prediction";

afterEach(cleanup);

it("shows the prediction and a bar for each class", () => {
  const answer = {
    predictions: [{ prediction: true, probabilities: { false: 0.287, true: 0.713 } }],
    model: "late_flights@4",
    deployment: "champion",
    prediction_ids: ["a-0"],
  };
  render(<Prediction answer={answer} />);
  expect(screen.getByText("prediction").nextSibling?.textContent).toBe("true");
  expect(screen.getByText("71.3 %")).toBeDefined();
  expect(screen.queryByText("probabilities")).toBeNull();
});

it("shows a number without bars", () => {
  render(<Prediction answer={{ predictions: [{ prediction: 12.5 }] }} />);
  expect(screen.getByText("12.5").className).toBe("figure");
});
