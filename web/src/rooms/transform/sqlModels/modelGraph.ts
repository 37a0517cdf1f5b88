import type { SqlModels } from "../../../api/types.gen";
import type { GraphEdge, GraphNode } from "../../../charts/graph/layout";

/** Models and sources with who reads whom: all, or one with everything that it depends on and that depends on it. */
export function modelGraph(
  { models, sources }: SqlModels,
  around?: string,
): { nodes: GraphNode[]; edges: GraphEdge[] } {
  const all = models.flatMap((model) => model.reads.map((from) => ({ from, to: model.name })));
  const shown = around === undefined ? null : reachable(all, around);
  const edges = all.filter((edge) => shown === null || (shown.has(edge.from) && shown.has(edge.to)));
  const isShown = (name: string) => shown === null || shown.has(name);
  const nodes: GraphNode[] = [
    ...sources.map((source) => ({ id: source.name, name: source.name, kind: "source", detail: source.from })),
    ...models.map((model) => ({
      id: model.name,
      name: model.name,
      kind: model.materialized,
      detail: model.version === null ? undefined : `version ${model.version}`,
    })),
  ];
  return { nodes: nodes.filter((node) => isShown(node.id)), edges };
}

/** What comes before and what comes after, without what is only beside. */
function reachable(edges: GraphEdge[], start: string): Set<string> {
  const found = new Set([start]);
  const walk = (next: (name: string) => string[], seen: Set<string>, name: string) => {
    for (const other of next(name)) {
      if (seen.has(other)) continue;
      seen.add(other);
      found.add(other);
      walk(next, seen, other);
    }
  };
  walk((name) => edges.filter((edge) => edge.to === name).map((edge) => edge.from), new Set([start]), start);
  walk((name) => edges.filter((edge) => edge.from === name).map((edge) => edge.to), new Set([start]), start);
  return found;
}
