import type { FlowModel } from "../../../api/types.gen";
import { count, number } from "../../../format/number";
import { DataTable } from "../../../ui/DataTable";
import type { LastRun } from "./lastRun";

interface NodeTableProps {
  model: FlowModel;
  selected: string | null;
  last: LastRun | null;
  onSelect: (node: string) => void;
}

/** The flow as a list: the accessible twin of the canvas. */
export function NodeTable({ model, selected, last, onSelect }: NodeTableProps) {
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
          key: "rows",
          header: "Rows, last run",
          numeric: true,
          value: (node) => last?.figures.get(node.id)?.rows,
          cell: (node) => count(last?.figures.get(node.id)?.rows),
        },
        {
          key: "busy",
          header: "Busy, ms",
          numeric: true,
          value: (node) => last?.figures.get(node.id)?.busyMs,
          cell: (node) => number(last?.figures.get(node.id)?.busyMs),
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
