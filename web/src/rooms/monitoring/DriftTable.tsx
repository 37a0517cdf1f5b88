import type { DriftColumn } from "../../api/types.gen";
import { number } from "../../format/number";
import { DataTable } from "../../ui/DataTable";
import { Status } from "../../ui/Status";
import { ScoreBar } from "./ScoreBar";
import { keys } from "./twoKeys";

interface DriftTableProps {
  columns: DriftColumn[];
  selected?: string;
  onSelect: (column: string) => void;
}

/** Scores per column, with the threshold on the bar and both keys spelled out. */
export function DriftTable({ columns, selected, onSelect }: DriftTableProps) {
  const top = Math.max(...columns.map((column) => Math.max(column.score, column.threshold)), 0) * 1.05;
  return (
    <DataTable
      label="drift by column"
      rows={columns}
      rowKey={(column) => column.column}
      selected={selected}
      columns={[
        {
          key: "column",
          header: "Column",
          value: (column) => column.column,
          cell: (column) => (
            <button type="button" className="button quiet" onClick={() => onSelect(column.column)}>
              {column.column}
            </button>
          ),
        },
        { key: "kind", header: "Kind", value: (column) => column.kind },
        {
          key: "state",
          header: "State",
          value: (column) => column.drifted,
          cell: (column) => <Status status={column.drifted ? "drifted" : "stable"} />,
        },
        {
          key: "bar",
          header: "Score and threshold",
          value: () => "",
          cell: (column) => (
            <ScoreBar score={column.score} threshold={column.threshold} top={top} drifted={column.drifted} />
          ),
        },
        { key: "score", header: "Score", numeric: true, value: (column) => number(column.score) },
        { key: "metric", header: "Distance", value: (column) => column.metric },
        {
          key: "p",
          header: "p, corrected",
          numeric: true,
          value: (column) => number(column.adjusted_p ?? column.p_value),
        },
        { key: "why", header: "Why", value: (column) => column.reason ?? keys(column) },
      ]}
    />
  );
}
