import IconAlertTriangle from "@tabler/icons-react/dist/esm/icons/IconAlertTriangle.mjs";
import { Handle, type Node, type NodeProps, Position } from "@xyflow/react";
import type { FlowNodeView } from "../../../api/types.gen";
import { portShare } from "../../../charts/graph/handles";
import { count, number } from "../../../format/number";
import { partsOf } from "./graph";
import type { NodeFigures } from "./lastRun";

export type FlowNodeData = {
  node: FlowNodeView;
  down: boolean;
  reads: boolean;
  locked: boolean;
  picked: boolean;
  /** What the flow gives of it. */
  outputs: string[];
  /** What it did in the last run. */
  figures: NodeFigures | null;
  /** It is the one that the Tab key comes to. */
  first: boolean;
  onSelect: (node: string) => void;
};

/** A node with its kind, its marks, and the places where arrows begin and end. */
export function FlowNode({ data }: NodeProps<Node<FlowNodeData>>) {
  const { node, down, picked, outputs, locked, figures } = data;
  const parts = partsOf(node);
  const tone = node.problem
    ? node.problem.severity === "error"
      ? "bad"
      : "warn"
    : outputs.length > 0
      ? "ok"
      : "accent";
  const from = down ? Position.Bottom : Position.Right;
  return (
    <>
      {data.reads && <Handle type="target" position={down ? Position.Top : Position.Left} isConnectable={!locked} />}
      <button
        type="button"
        className={`node nopan ${picked ? "picked" : ""}`}
        style={{ borderLeftColor: `var(--${tone})` }}
        tabIndex={picked || data.first ? 0 : -1}
        aria-pressed={picked}
        title={node.problem?.message ?? node.description ?? node.id}
        onClick={() => data.onSelect(node.id)}
      >
        <div className="row nowrap node-head">
          <span className="name">{node.id}</span>
          {figures && (
            <span className="muted num" title={`busy for ${number(figures.busyMs)} ms in the last run`}>
              {figures.rows === null ? `${number(figures.busyMs)} ms` : count(figures.rows)}
            </span>
          )}
        </div>
        <div className="line">
          <span className="muted nowrap">{node.kind ?? "no kind"}</span>
          {node.problem ? (
            <span className={`row tone-${tone} node-mark`}>
              <IconAlertTriangle size={13} aria-hidden /> {node.problem.severity === "error" ? "wrong" : "no table"}
            </span>
          ) : (
            outputs.length > 0 && <span className="tag accent">{outputs.join(", ")}</span>
          )}
        </div>
      </button>
      {parts.map((port, at) => (
        <Handle
          key={port}
          id={port ?? undefined}
          type="source"
          position={from}
          isConnectable={!locked}
          title={port ?? undefined}
          style={{ [down ? "left" : "top"]: `${portShare(at, parts.length) * 100}%` }}
        />
      ))}
    </>
  );
}
