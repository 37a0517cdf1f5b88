import "@xyflow/react/dist/style.css";
import { useElementSize } from "@mantine/hooks";
import {
  Background,
  Controls,
  type Edge,
  MarkerType,
  type Node,
  ReactFlow,
  type ReactFlowInstance,
} from "@xyflow/react";
import { type DragEvent, type KeyboardEvent, useEffect, useMemo, useRef, useState } from "react";
import type { FlowKindView, FlowModel } from "../../../api/types.gen";
import { handlesOf } from "../../../charts/graph/handles";
import { NODE, place } from "../../../charts/graph/layout";
import { FlowNode, type FlowNodeData } from "./FlowNode";
import { edgesOf, neighbour, partsOf, readsOf } from "./graph";
import type { LastRun } from "./lastRun";
import { HEIGHT, isSeen, LEAST_ZOOM, lookAt, overview, READABLE } from "./lookAt";
import { KIND_TYPE } from "./Palette";
import type { Gestures } from "./useGestures";

export interface FlowCanvasProps {
  model: FlowModel;
  kinds: readonly FlowKindView[];
  selected: string | null;
  last: LastRun | null;
  locked: boolean;
  onSelect: (node: string | null) => void;
  gestures: Gestures;
}

const TYPES = { flow: FlowNode };

/** The flow as a graph. Arrow keys go from node to node, Delete takes the chosen node or arrow away. */
export function FlowCanvas({ model, kinds, selected, last, locked, onSelect, gestures }: FlowCanvasProps) {
  const { ref, width } = useElementSize();
  const flow = useRef<ReactFlowInstance<Node<FlowNodeData>, Edge> | null>(null);
  const host = useRef<HTMLDivElement>(null);
  const [arrow, setArrow] = useState<string | null>(null);
  const [refusal, setRefusal] = useState<string | null>(null);
  const edges = useMemo(() => edgesOf(model.nodes, kinds), [model, kinds]);
  const shape = JSON.stringify([model.nodes.map(({ id }) => id), edges.map(({ from, to }) => [from, to])]);
  const places = useMemo(() => {
    const [ids, pairs] = JSON.parse(shape) as [string[], [string, string][]];
    const nodes = ids.map((id) => ({ id, name: id, kind: "" }));
    return place(
      nodes,
      pairs.map(([from, to]) => ({ from, to })),
      width < 500 ? "down" : "right",
    ).places;
  }, [shape, width]);
  useEffect(() => {
    const instance = flow.current;
    if (!instance || width === 0) return;
    const place = selected === null ? undefined : places.get(selected);
    const shown = instance.getViewport();
    // What is added may be out of sight, and what is left may be small.
    if (place ? !isSeen(place, shown, width) : overview(places, width).zoom >= READABLE)
      void instance.setViewport(lookAt(places, width, selected));
  }, [places, width, selected]);
  const outputs = Object.entries(model.outputs);
  const nodes: Node<FlowNodeData>[] = model.nodes.map((node) => ({
    id: node.id,
    type: "flow",
    position: places.get(node.id) ?? { x: 0, y: 0 },
    data: {
      node,
      down: width < 500,
      reads: readsOf(kinds, node.kind) !== "none",
      locked,
      picked: node.id === selected,
      outputs: outputs.filter(([, port]) => port === node.id || port.startsWith(`${node.id}.`)).map(([name]) => name),
      figures: last?.figures.get(node.id) ?? null,
      first: selected === null && node === model.nodes[0],
      onSelect,
    },
    ...NODE,
    measured: NODE,
    handles: handlesOf({
      direction: width < 500 ? "down" : "right",
      reads: readsOf(kinds, node.kind) !== "none",
      ports: partsOf(node),
    }),
    draggable: false,
    focusable: false,
  }));
  const arrows: Edge[] = edges.map(({ from, port, to, at, label }) => ({
    id: JSON.stringify([port, to, at]),
    source: from,
    sourceHandle: port === from ? null : port,
    target: to,
    label,
    selected: arrow === JSON.stringify([port, to, at]),
    markerEnd: { type: MarkerType.ArrowClosed },
    focusable: false,
    data: { port },
  }));
  const connect = (port: string, to: string) => setRefusal(gestures.connect(port, to));
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Delete" || event.key === "Backspace") {
      const line = arrows.find(({ id }) => id === arrow);
      if (locked) return;
      if (line) gestures.disconnect(String(line.data?.port), line.target);
      else if (selected) gestures.remove(selected);
      setArrow(null);
    } else if (event.key === "Escape") onSelect(null);
    else if (selected && event.key.startsWith("Arrow")) {
      const next = neighbour(places, selected, event.key);
      if (next) {
        onSelect(next);
        host.current?.querySelector<HTMLElement>(`[data-id="${CSS.escape(next)}"] button`)?.focus();
      }
    } else return;
    event.preventDefault();
  };
  const onDrop = (event: DragEvent) => {
    const kind = event.dataTransfer.getData(KIND_TYPE);
    if (!kind) return;
    event.preventDefault();
    const under = (event.target as HTMLElement).closest<HTMLElement>(".react-flow__node");
    gestures.add(kind, under?.dataset.id ?? null);
  };
  return (
    <div ref={ref}>
      {/* The nodes in it are buttons; what is done to the chosen one, its group hears. */}
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions */}
      <div
        ref={host}
        className="graph designer-canvas"
        style={{ height: HEIGHT }}
        role="group"
        aria-label="flow; arrow keys go from node to node, Delete removes"
        onKeyDown={onKeyDown}
        onDragOver={(event) => event.dataTransfer.types.includes(KIND_TYPE) && event.preventDefault()}
        onDrop={onDrop}
      >
        {width > 0 && (
          <ReactFlow
            nodes={nodes}
            edges={arrows}
            nodeTypes={TYPES}
            defaultViewport={lookAt(places, width, selected)}
            onInit={(instance) => {
              flow.current = instance;
            }}
            onConnect={({ source, sourceHandle, target }) => connect(sourceHandle ?? source, target)}
            onEdgeClick={(_, edge) => {
              onSelect(null);
              setArrow(edge.id);
              host.current?.querySelector<HTMLElement>(".node")?.focus();
            }}
            onPaneClick={() => {
              setArrow(null);
              onSelect(null);
            }}
            nodesConnectable={!locked}
            connectionRadius={40}
            deleteKeyCode={null}
            minZoom={LEAST_ZOOM}
            preventScrolling={false}
            zoomOnScroll={false}
            nodesFocusable={false}
            edgesFocusable={false}
          >
            <Background gap={20} />
            <Controls
              showInteractive={false}
              onFitView={() => void flow.current?.setViewport(overview(places, width))}
            />
          </ReactFlow>
        )}
      </div>
      <p className="small wrong" role="status">
        {refusal}
      </p>
    </div>
  );
}
