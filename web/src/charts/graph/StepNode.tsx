import { Handle, type NodeProps, Position } from "@xyflow/react";
import { count } from "../../format/number";
import { Status } from "../../ui/Status";
import { statusLook } from "../../ui/statusLook";
import { itemWords } from "./itemWords";
import type { GraphNode } from "./layout";

type StepNodeData = GraphNode & { picked?: boolean; direction?: "right" | "down"; onSelect?: (id: string) => void };

/** One node: name, kind, state. */
export function StepNode({ data }: NodeProps) {
  const node = data as unknown as StepNodeData;
  const tone = node.status ? `var(--${statusLook(node.status).tone})` : "var(--accent)";
  const down = node.direction === "down";
  const total = node.items?.reduce((sum, { count: number }) => sum + number, 0) ?? 0;
  return (
    <button
      type="button"
      className={`node nopan ${node.picked ? "picked" : ""} ${node.items ? "stacked" : ""}`}
      style={{ borderLeftColor: tone }}
      onClick={() => node.onSelect?.(node.id)}
      title={node.items ? `${node.name}: ${itemWords(node.items)}` : node.name}
    >
      <Handle type="target" position={down ? Position.Top : Position.Left} isConnectable={false} />
      <div className="name">{node.name}</div>
      <div className="line">
        <span className="muted nowrap">
          {node.kind}
          {node.items && ` × ${count(total)}`}
        </span>
        {node.status ? (
          <Status status={node.status} quiet={node.items !== undefined} />
        ) : (
          <span className="muted">{node.detail}</span>
        )}
      </div>
      {node.items && total > 0 && (
        <span className="node-items" role="img" aria-label={itemWords(node.items)}>
          {node.items.map(({ state, count: number }) => (
            <span key={state} style={{ flexGrow: number, background: `var(--${statusLook(state).tone})` }} />
          ))}
        </span>
      )}
      <Handle type="source" position={down ? Position.Bottom : Position.Right} isConnectable={false} />
    </button>
  );
}
