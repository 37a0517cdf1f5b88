import type { MetricCurve, TrackedRun } from "../../../api/types.gen";
import { type Band, group } from "../../../charts/line/bands";
import type { Line } from "../../../charts/line/options";
import { type Point, smooth } from "../../../charts/line/smooth";
import { short } from "../../../format/id";
import { instant } from "../../../format/time";
import type { CurveAxis, CurveSearch } from "../search";
import { columnOf } from "./columns";

/** Names by run; runs of one name, such as the same step of several pipeline runs, are told apart by their ids. */
export function distinctNames(runs: readonly Pick<TrackedRun, "id" | "name">[]): Map<string, string> {
  const uses = new Map<string, number>();
  for (const { name } of runs) uses.set(name, (uses.get(name) ?? 0) + 1);
  return new Map(runs.map(({ id, name }) => [id, uses.get(name) === 1 ? name : `${name} ${short(id)}`]));
}

/** A metric of several runs as lines: one a run, or one a group of runs with the band that the group fills. */
export function curveLines(
  curves: readonly MetricCurve[],
  runs: readonly TrackedRun[],
  { x = "step", group: by, smoothing = 0 }: CurveSearch,
): { lines: Line[]; bands: Band[] } {
  const names = distinctNames(runs);
  const some = curves.filter((curve) => curve.points.length > 0);
  if (!by) {
    const name = (id: string) => names.get(id) ?? short(id);
    return { lines: some.map((curve) => ({ name: name(curve.run_id), points: points(curve, x) })), bands: [] };
  }
  const groups = new Map<string, MetricCurve[]>();
  for (const curve of some) {
    const name = groupOf(runs, curve.run_id, by);
    groups.set(name, [...(groups.get(name) ?? []), curve]);
  }
  const made = [...groups]
    .toSorted(([a], [b]) => a.localeCompare(b, "en", { numeric: true }))
    .map(([name, members]) => {
      const found = group(members.map((curve) => smooth(points(curve, x), smoothing)));
      return { name: `${name} (${members.length})`, ...found };
    });
  return {
    lines: made.map(({ name, mean }) => ({ name, points: mean })),
    bands: made.map(({ name, band }) => ({ name, points: band })),
  };
}

/** Values of a metric that no run logged more than once, or null: a curve of one point says nothing, a bar beside others does. */
export function singleValues(
  curves: readonly MetricCurve[],
  runs: readonly TrackedRun[],
  by: string | undefined,
): { name: string; value: number }[] | null {
  const some = curves.filter((curve) => curve.points.length > 0);
  if (some.length === 0 || some.some((curve) => curve.points.length > 1)) return null;
  const names = distinctNames(runs);
  const values = new Map<string, number[]>();
  for (const { run_id, points: logged } of some) {
    const name = by ? groupOf(runs, run_id, by) : (names.get(run_id) ?? short(run_id));
    values.set(name, [...(values.get(name) ?? []), logged[0]?.value ?? 0]);
  }
  return [...values].map(([name, all]) => ({ name, value: all.reduce((sum, each) => sum + each, 0) / all.length }));
}

function groupOf(runs: readonly TrackedRun[], id: string, by: string): string {
  const column = columnOf(by);
  const run = runs.find((entry) => entry.id === id);
  const value = column && run?.[column.family][column.name];
  return `${column?.name ?? by} = ${value ?? "none"}`;
}

function points(curve: MetricCurve, x: CurveAxis): Point[] {
  const begin = instant(curve.points[0]?.at) ?? 0;
  return curve.points.map((point) => {
    if (x === "step") return [point.step, point.value];
    const at = instant(point.at) ?? 0;
    return [x === "wall" ? at : at - begin, point.value];
  });
}
