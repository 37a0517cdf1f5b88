import type { ChartColors } from "../engine/colors";
import type { Point } from "./smooth";

/** The space between the least and the most of several curves. */
export interface Band {
  /** The line in the middle of it. */
  name: string;
  points: [x: number, least: number, most: number][];
}

export interface Group {
  mean: Point[];
  band: Band["points"];
}

/** Places at which a group is computed; more than a chart has pixels for would be wasted. */
const MOST_PLACES = 400;

/** Mean, least and most of curves at every place that one of them has; a curve counts between its first and last point. */
export function group(curves: readonly Point[][]): Group {
  const usable = curves.map((curve) => curve.filter(([, y]) => Number.isFinite(y))).filter((curve) => curve.length > 0);
  const mean: Point[] = [];
  const band: Band["points"] = [];
  const at = usable.map(() => 0);
  for (const x of places(usable)) {
    const values = usable.flatMap((curve, index) => {
      let next = at[index] ?? 0;
      while (next < curve.length && (curve[next]?.[0] ?? 0) < x) next += 1;
      at[index] = next;
      return between(curve[next - 1], curve[next], x) ?? [];
    });
    if (values.length === 0) continue;
    mean.push([x, values.reduce((sum, value) => sum + value, 0) / values.length]);
    band.push([x, Math.min(...values), Math.max(...values)]);
  }
  return { mean, band };
}

function places(curves: readonly Point[][]): number[] {
  const every = [...new Set(curves.flatMap((curve) => curve.map(([x]) => x)))].toSorted((a, b) => a - b);
  const stride = Math.ceil(every.length / MOST_PLACES);
  return stride <= 1 ? every : every.filter((_, index) => index % stride === 0 || index === every.length - 1);
}

function between(left: Point | undefined, right: Point | undefined, x: number): number | null {
  if (!right) return null;
  if (right[0] === x) return right[1];
  if (!left) return null;
  return left[1] + ((right[1] - left[1]) * (x - left[0])) / (right[0] - left[0]);
}

interface Api {
  coord: (at: [number, number]) => [number, number];
}

/** ECharts' description of a band: one polygon, so that it has no seams and works on any axes. */
export function bandSeries(
  band: Band,
  color: string | undefined,
  colors: ChartColors,
  log: { x?: boolean; y?: boolean },
) {
  const points = band.points.filter(([x, least]) => !(log.x && x <= 0) && !(log.y && least <= 0));
  return {
    type: "custom",
    name: band.name,
    silent: true,
    clip: true,
    z: 1,
    tooltip: { show: false },
    encode: { x: 0, y: [1, 2] },
    data: points,
    renderItem: (params: { dataIndex: number }, api: Api) => {
      if (params.dataIndex !== 0 || points.length < 2) return undefined;
      const upper = points.map(([x, , most]) => api.coord([x, most]));
      const lower = points.map(([x, least]) => api.coord([x, least])).toReversed();
      return {
        type: "polygon",
        shape: { points: [...upper, ...lower] },
        style: { fill: color ?? colors.muted, opacity: 0.16 },
      };
    },
  };
}
