export interface ThresholdPoint {
  threshold: number;
  tp: number;
  fp: number;
  tn: number;
  fn: number;
}

export interface Rates {
  accuracy: number;
  precision: number;
  recall: number;
  f1: number;
  falsePositiveRate: number;
}

/** The entry whose threshold is nearest. */
export function nearest(points: readonly ThresholdPoint[], threshold: number): ThresholdPoint | undefined {
  let best: ThresholdPoint | undefined;
  for (const point of points)
    if (!best || Math.abs(point.threshold - threshold) < Math.abs(best.threshold - threshold)) best = point;
  return best;
}

/** What the four counts mean; 0 where a rate has no cases. */
export function rates({ tp, fp, tn, fn }: ThresholdPoint): Rates {
  const precision = ratio(tp, tp + fp);
  const recall = ratio(tp, tp + fn);
  return {
    accuracy: ratio(tp + tn, tp + fp + tn + fn),
    precision,
    recall,
    f1: ratio(2 * precision * recall, precision + recall),
    falsePositiveRate: ratio(fp, fp + tn),
  };
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}
