import { expect, it } from "vitest";
import { isDrawable, readReport } from "./report";

it("reads curves as points and as columns", () => {
  expect(readReport({ roc: [{ fpr: 0, tpr: 0.5 }] }).roc).toEqual([[0, 0.5]]);
  expect(readReport({ roc: { fpr: [0, 1], tpr: [0.2, 1] } }).roc).toEqual([
    [0, 0.2],
    [1, 1],
  ]);
});

it("reads the matrix with and without a wrapper", () => {
  expect(
    readReport({
      confusion: [
        [1, 2],
        [3, 4],
      ],
    }).confusion,
  ).toEqual([
    [1, 2],
    [3, 4],
  ]);
  expect(
    readReport({
      confusion_matrix: {
        matrix: [
          [1, 0],
          [0, 1],
        ],
      },
    }).confusion,
  ).toEqual([
    [1, 0],
    [0, 1],
  ]);
});

it("knows an empty report", () => {
  expect(isDrawable(readReport({ metrics: { auc: 0.7 } }))).toBe(false);
  expect(isDrawable(readReport({ importance: { dep_hour: 0.4 } }))).toBe(true);
});
