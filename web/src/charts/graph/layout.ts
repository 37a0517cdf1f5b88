import { Graph, layout } from "@dagrejs/dagre";

export interface GraphNode {
  id: string;
  name: string;
  kind: string;
  status?: string;
  detail?: string;
  /** What it is done for many times, in numbers by state: the node is drawn as a stack. */
  items?: { state: string; count: number }[];
}

export interface GraphEdge {
  from: string;
  to: string;
}

export interface Layout {
  direction: "right" | "down";
  places: Map<string, { x: number; y: number }>;
  width: number;
  height: number;
}

export const NODE = { width: 184, height: 56 };

/** Below this zoom the words of a node are hard to read. */
const READABLE = 0.75;

/** From left to right if that can be read in `room` pixels of width, else in the direction that stays larger. */
export function arrange(nodes: readonly GraphNode[], edges: readonly GraphEdge[], room: number): Layout {
  const right = place(nodes, edges, "right");
  if (room >= right.width * READABLE) return right;
  const down = place(nodes, edges, "down");
  return down.width < right.width ? down : right;
}

/** A place for each node. */
export function place(
  nodes: readonly GraphNode[],
  edges: readonly GraphEdge[],
  direction: Layout["direction"],
): Layout {
  const graph = new Graph();
  graph.setGraph(
    direction === "right" ? { rankdir: "LR", nodesep: 18, ranksep: 34 } : { rankdir: "TB", nodesep: 18, ranksep: 26 },
  );
  graph.setDefaultEdgeLabel(() => ({}));
  const known = new Set(nodes.map((node) => node.id));
  for (const node of nodes) graph.setNode(node.id, { ...NODE });
  for (const { from, to } of edges) if (known.has(from) && known.has(to)) graph.setEdge(from, to);
  layout(graph);
  const { width = NODE.width, height = NODE.height } = graph.graph() as { width?: number; height?: number };
  const places = new Map(
    nodes.map((node) => {
      const { x, y } = graph.node(node.id) as { x: number; y: number };
      return [node.id, { x: x - NODE.width / 2, y: y - NODE.height / 2 }];
    }),
  );
  return { direction, places, width, height };
}
