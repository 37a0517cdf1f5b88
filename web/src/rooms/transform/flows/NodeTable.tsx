import type { FlowModel } from "../../../api/types.gen";
import { DataTable } from "../../../ui/DataTable";

interface NodeTableProps {
  model: FlowModel;
  selected: string | null;
  onSelect: (node: string) => void;
}

/** The flow as a list: the accessible twin of the canvas. */
export function NodeTable({ model, selected, onSelect }: NodeTableProps) {
  return (
    <DataTable
      label="nodes"
      rows={model.nodes}
      rowKey={(node) => node.id}
      selected={selected}
      columns={[
        {
          key: "name",
          header: "Name",
          value: (node) => node.id,
          cell: (node) => (
            <button type="button" className="button quiet" onClick={() => onSelect(node.id)}>
              {node.id}
            </button>
          ),
        },
        { key: "kind", header: "Kind", value: (node) => node.kind },
        { key: "from", header: "Reads", value: (node) => node.from.join(", ") },
        {
          key: "columns",
          header: "Columns",
          numeric: true,
          value: (node) => node.ports[0]?.columns.length || null,
        },
        {
          key: "problem",
          header: "Problem",
          wrap: true,
          value: (node) => node.problem?.message,
          cell: (node) =>
            node.problem ? <span className="wrong">{node.problem.message}</span> : <span className="muted">–</span>,
        },
      ]}
    />
  );
}
