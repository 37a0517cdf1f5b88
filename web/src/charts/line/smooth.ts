export type Point = [number, number];

/** Exponential moving average with the start's bias taken out, as TensorBoard does it; 0 leaves the points as they are. */
export function smooth(points: readonly Point[], weight: number): Point[] {
  if (weight <= 0) return points.map(([x, y]) => [x, y]);
  let last = 0;
  let debias = 0;
  return points.map(([x, y]) => {
    if (!Number.isFinite(y)) return [x, y];
    last = last * weight + (1 - weight) * y;
    debias = debias * weight + (1 - weight);
    return [x, last / debias];
  });
}
