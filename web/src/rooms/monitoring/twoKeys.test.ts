import { expect, it } from "vitest";
import type { DriftColumn } from "../../api/types.gen";
import { keys } from "./twoKeys";

const column = (score: number, p: number | null) =>
  ({ score, threshold: 0.1, adjusted_p: p, p_value: p }) as DriftColumn;

it("says both keys", () => {
  expect(keys(column(0.2, 0.001))).toBe("0.2 reaches 0.1; no accident");
  expect(keys(column(0.2, 0.3))).toBe("0.2 reaches 0.1; may be an accident");
  expect(keys(column(0.05, 0.001))).toBe("0.05 is below 0.1; no accident");
  expect(keys(column(0.05, null))).toBe("0.05 is below 0.1");
});
