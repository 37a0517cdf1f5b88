import type { DriftColumn } from "../../api/types.gen";
import { number } from "../../format/number";

/** Both keys of a column's verdict in words. */
export function keys({ score, threshold, adjusted_p, p_value }: DriftColumn): string {
  const p = adjusted_p ?? p_value;
  const effect =
    score >= threshold
      ? `${number(score)} reaches ${number(threshold)}`
      : `${number(score)} is below ${number(threshold)}`;
  if (p === null) return effect;
  return `${effect}; ${p < 0.05 ? "no accident" : "may be an accident"}`;
}
