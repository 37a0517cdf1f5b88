import { Handle, type NodeProps, Position } from "@xyflow/react";
import { Status } from "../../ui/Status";
import { statusLook } from "../../ui/statusLook";
import type { GraphNode } from "./layout";

type StepNodeData = GraphNode & { picked?: boolean; direction?: "right" | "down"; onSelect?: (id: string) => void };

/** One node: name, kind, state. */
export function StepNode({ data }: NodeProps) {
  const node = data as unknown as StepNodeData;
  const tone = node.status ? `var(--${statusLook(node.status).tone})` : "var(--accent)";
  const down = node.direction === "down";
  return (
    <button
      type="button"
      className={`node nopan ${node.picked ? "picked" : ""}`}
      style={{ borderLeftColor: tone }}
      onClick={() => node.onSelect?.(node.id)}
      title={node.name}
    >
      <Handle type="target" position={down ? Position.Top : Position.Left} isConnectable={false} />
      <div className="name">{node.name}</div>
      <div className="line">
        <span className="muted">{node.kind}</span>
        {node.status ? <Status status={node.status} /> : <span className="muted">{node.detail}</span>}
      </div>
      <Handle type="source" position={down ? Position.Bottom : Position.Right} isConnectable={false} />
    </button>
  );
}
