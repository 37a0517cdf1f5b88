import "@xyflow/react/dist/style.css";
import { Background, Controls, type Edge, getViewportForBounds, type Node, ReactFlow } from "@xyflow/react";
import { useElementSize } from "@mantine/hooks";
import { useMemo } from "react";
import { handlesOf } from "./handles";
import { arrange, type GraphEdge, type GraphNode, NODE } from "./layout";
import { StepNode } from "./StepNode";

const TYPES = { step: StepNode };

interface CanvasProps {
  nodes: GraphNode[];
  edges: GraphEdge[];
  selected?: string | null;
  onSelect?: (id: string) => void;
  label: string;
}

/** Heights in pixels between which a picture is as high as its graph. */
const LOWEST = 240;
const HIGHEST = 720;
/** Room around the graph, for the buttons in its corner too. */
const RIM = 48;
/** The part of a side that stays free around a fitted graph. */
const PADDING = 0.06;
const LEAST_ZOOM = 0.15;

/** The picture of a graph: laid out once it is known how much room there is. */
export function Canvas(props: CanvasProps) {
  const { ref, width } = useElementSize();
  return (
    <div ref={ref} style={{ minHeight: LOWEST }}>
      {width > 0 && <Picture {...props} width={width} />}
    </div>
  );
}

function Picture({ nodes, edges, selected, onSelect, label, width }: CanvasProps & { width: number }) {
  const shape = JSON.stringify([nodes.map((node) => node.id), edges]);
  // Only the shape moves nodes; a new status does not.
  // oxlint-disable-next-line react/exhaustive-deps
  const found = useMemo(() => arrange(nodes, edges, width - RIM), [shape, width]);
  const { direction, places } = found;
  const zoom = Math.min(1, (width - RIM) / found.width);
  const height = Math.min(Math.max(found.height * zoom + RIM, LOWEST), HIGHEST);
  const flowNodes: Node[] = nodes.map((node) => ({
    id: node.id,
    type: "step",
    position: places.get(node.id) ?? { x: 0, y: 0 },
    data: { ...node, picked: selected === node.id, direction, onSelect },
    ...NODE,
    measured: NODE,
    handles: handlesOf({ direction, reads: true, ports: [null] }),
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
    <div className="graph" style={{ height }}>
      <ReactFlow
        key={`${shape}${direction}${Math.round(width)}`}
        nodes={flowNodes}
        edges={flowEdges}
        nodeTypes={TYPES}
        defaultViewport={viewportOf([...places.values()], width, height)}
        fitViewOptions={{ padding: PADDING, maxZoom: 1 }}
        minZoom={LEAST_ZOOM}
        preventScrolling={false}
        zoomOnScroll={false}
        nodesFocusable={false}
        edgesFocusable={false}
        aria-label={label}
      >
        <Background gap={20} />
        <Controls showInteractive={false} />
      </ReactFlow>
    </div>
  );
}

/**
 * Where one looks at the whole graph from. Reckoned here: the library fits a graph only once it has measured its nodes, which it does not
 * do where their measures are told.
 */
function viewportOf(places: { x: number; y: number }[], width: number, height: number) {
  const [left, top] = [Math.min(...places.map(({ x }) => x)), Math.min(...places.map(({ y }) => y))];
  const right = Math.max(...places.map(({ x }) => x + NODE.width));
  const bottom = Math.max(...places.map(({ y }) => y + NODE.height));
  const bounds = { x: left, y: top, width: right - left, height: bottom - top };
  return getViewportForBounds(bounds, width, height, LEAST_ZOOM, 1, PADDING);
}
