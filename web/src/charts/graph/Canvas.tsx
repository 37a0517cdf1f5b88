import "@xyflow/react/dist/style.css";
import { Background, Controls, type Edge, type Node, ReactFlow } from "@xyflow/react";
import { useMemo } from "react";
import { type GraphEdge, type GraphNode, place } from "./layout";
import { StepNode } from "./StepNode";

const TYPES = { step: StepNode };

interface CanvasProps {
  nodes: GraphNode[];
  edges: GraphEdge[];
  selected?: string | null;
  onSelect?: (id: string) => void;
  label: string;
}

/** The picture of a graph, laid out from left to right. */
export function Canvas({ nodes, edges, selected, onSelect, label }: CanvasProps) {
  const shape = JSON.stringify([nodes.map((node) => node.id), edges]);
  // Only the shape moves nodes; a new status does not.
  // oxlint-disable-next-line react/exhaustive-deps
  const places = useMemo(() => place(nodes, edges), [shape]);
  const flowNodes: Node[] = nodes.map((node) => ({
    id: node.id,
    type: "step",
    position: places.get(node.id) ?? { x: 0, y: 0 },
    data: { ...node, picked: selected === node.id, onSelect },
    draggable: false,
    connectable: false,
    focusable: false,
  }));
  const running = new Set(nodes.filter((node) => node.status === "running").map((node) => node.id));
  const flowEdges: Edge[] = edges.map(({ from, to }) => ({
    id: `${from}>${to}`,
    source: from,
    target: to,
    animated: running.has(to),
    focusable: false,
  }));
  return (
    <ReactFlow
      nodes={flowNodes}
      edges={flowEdges}
      nodeTypes={TYPES}
      fitView
      fitViewOptions={{ padding: 0.08, maxZoom: 1 }}
      minZoom={0.15}
      preventScrolling={false}
      zoomOnScroll={false}
      nodesFocusable={false}
      edgesFocusable={false}
      aria-label={label}
    >
      <Background gap={20} />
      <Controls showInteractive={false} />
    </ReactFlow>
  );
}
