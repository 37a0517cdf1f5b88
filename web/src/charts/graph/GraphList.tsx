import { DataTable } from "../../ui/DataTable";
import { Status } from "../../ui/Status";
import { itemWords } from "./itemWords";
import type { GraphEdge, GraphNode } from "./layout";

interface GraphListProps {
  nodes: GraphNode[];
  edges: GraphEdge[];
  selected?: string | null;
  onSelect?: (id: string) => void;
  label: string;
}

/** The accessible twin of the canvas. */
export function GraphList({ nodes, edges, selected, onSelect, label }: GraphListProps) {
  const needs = (id: string) =>
    edges
      .filter((edge) => edge.to === id)
      .map((edge) => edge.from)
      .join(", ");
  return (
    <DataTable
      label={label}
      rows={nodes}
      rowKey={(node) => node.id}
      selected={selected}
      columns={[
        {
          key: "name",
          header: "Name",
          value: (node) => node.name,
          cell: (node) => (
            <button type="button" className="button quiet" onClick={() => onSelect?.(node.id)}>
              {node.name}
            </button>
          ),
        },
        { key: "kind", header: "Kind", value: (node) => node.kind },
        ...(nodes.some((node) => node.status)
          ? [
              {
                key: "status",
                header: "Status",
                value: (node: GraphNode) => node.status ?? "",
                cell: (node: GraphNode) => node.status && <Status status={node.status} />,
              },
            ]
          : []),
        ...(nodes.some((node) => node.items)
          ? [{ key: "items", header: "Items", value: (node: GraphNode) => node.items && itemWords(node.items) }]
          : []),
        { key: "needs", header: "After", value: (node) => needs(node.id) },
      ]}
    />
  );
}
