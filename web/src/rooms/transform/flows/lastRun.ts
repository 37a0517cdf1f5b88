import { useQuery } from "@tanstack/react-query";
import type { FlowView, RunView } from "../../../api/types.gen";
import { lastRunQuery } from "../queries";

/** What a node did, all its parts together. */
export interface NodeFigures {
  /** Rows that it gave; null if its reader counts for it. */
  rows: number | null;
  /** Milliseconds that its operators were busy, all threads together. */
  busyMs: number;
}

export interface LastRun {
  run: string;
  endedAt: string | null;
  figures: ReadonlyMap<string, NodeFigures>;
}

/** The figures of a flow's step in a run; null if it has none. */
export function figuresOf(view: RunView, step: string): LastRun | null {
  const nodes = view.steps.find(({ id }) => id === step)?.outputs.nodes;
  if (!Array.isArray(nodes)) return null;
  const figures = new Map<string, NodeFigures>();
  for (const entry of nodes as unknown[]) {
    const { node, rows, busy_ms } = entry as { node?: unknown; rows?: unknown; busy_ms?: unknown };
    if (typeof node !== "string" || typeof busy_ms !== "number") continue;
    // A part stands as `node.part`.
    const name = node.split(".", 1)[0] ?? node;
    const before = figures.get(name);
    const given = typeof rows === "number" ? rows : null;
    figures.set(name, {
      rows: before?.rows == null ? given : before.rows + (given ?? 0),
      busyMs: (before?.busyMs ?? 0) + busy_ms,
    });
  }
  return figures.size > 0 ? { run: view.run.id, endedAt: view.run.ended_at, figures } : null;
}

/** What the flow's nodes did when a pipeline last ran it with success. */
export function useLastRun(view: FlowView): LastRun | null {
  const use = view.used_by[0];
  const run = useQuery({ ...lastRunQuery(use?.pipeline ?? ""), enabled: use !== undefined });
  return use && run.data ? figuresOf(run.data, use.step) : null;
}
