import type { TrackedRun } from "../../../api/types.gen";
import { axisOf, type Cell, type FieldAxis } from "../../../charts/engine/field";
import type { PlotRow } from "../../../charts/parallel/options";
import { words } from "../search";
import { cellOf, columnOf, type RunColumn } from "./columns";

export interface Plot {
  rows: PlotRow[];
  axes: FieldAxis[];
}

/** Runs as rows of a plot over some fields. */
export function plotOf(
  runs: readonly TrackedRun[],
  fields: readonly string[],
  selected: ReadonlySet<string>,
  log: { [field: string]: boolean | undefined } = {},
): Plot {
  const rows = runs.map((run) => ({
    id: run.id,
    name: run.name,
    cells: fields.map((field) => fieldOf(run, field)),
    picked: selected.has(run.id),
  }));
  const cells = (index: number) => rows.map((row) => row.cells[index]);
  return {
    // The last are drawn over the others.
    rows: rows.toSorted((a, b) => Number(a.picked) - Number(b.picked)),
    axes: fields.map((field, index) => axisOf(columnOf(field)?.name ?? field, cells(index), log[field])),
  };
}

/** The plot without the fields that have one value: they say nothing about the runs. */
export function telling({ rows, axes }: Plot): Plot {
  const kept = axes.map((_, index) => new Set(rows.map((row) => row.cells[index])).size > 1);
  if (kept.filter(Boolean).length < 2) return { rows, axes };
  const keep = <T>(list: readonly T[]) => list.filter((_, index) => kept[index]);
  return { rows: rows.map((row) => ({ ...row, cells: keep(row.cells) })), axes: keep(axes) };
}

/** Fields that plots begin with: parameters first, what the table is sorted by last. */
export function firstFields(columns: readonly RunColumn[], sort: string | undefined): string[] {
  const sorted = words(sort)[0]?.replace(/^-/, "");
  const of = (family: RunColumn["family"]) =>
    columns.filter((column) => column.family === family && column.key !== sorted).map((column) => column.key);
  const metric = sorted?.startsWith("metrics.") ? sorted : undefined;
  const metrics = metric ? [...of("metrics").slice(0, 1), metric] : of("metrics").slice(0, 2).toReversed();
  return [...of("params").slice(0, 6), ...metrics];
}

function fieldOf(run: TrackedRun, field: string): Cell {
  const column = columnOf(field);
  return column ? cellOf(run, column) : undefined;
}
