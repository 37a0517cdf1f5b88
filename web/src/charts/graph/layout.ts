import { Graph, layout } from "@dagrejs/dagre";

export interface GraphNode {
  id: string;
  name: string;
  kind: string;
  status?: string;
  detail?: string;
}

export interface GraphEdge {
  from: string;
  to: string;
}

export const NODE = { width: 184, height: 56 };

/** A place for each node, left to right. */
export function place(nodes: readonly GraphNode[], edges: readonly GraphEdge[]): Map<string, { x: number; y: number }> {
  const graph = new Graph();
  graph.setGraph({ rankdir: "LR", nodesep: 18, ranksep: 34 });
  graph.setDefaultEdgeLabel(() => ({}));
  const known = new Set(nodes.map((node) => node.id));
  for (const node of nodes) graph.setNode(node.id, { ...NODE });
  for (const { from, to } of edges) if (known.has(from) && known.has(to)) graph.setEdge(from, to);
  layout(graph);
  return new Map(
    nodes.map((node) => {
      const { x, y } = graph.node(node.id) as { x: number; y: number };
      return [node.id, { x: x - NODE.width / 2, y: y - NODE.height / 2 }];
    }),
  );
}
