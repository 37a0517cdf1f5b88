import type { StepView } from "../../../api/types.gen";
import { bytes } from "../../../format/bytes";
import { duration } from "../../../format/duration";
import { count } from "../../../format/number";
import { span } from "../../../format/time";
import { itemWords } from "../../../charts/graph/itemWords";
import { DataTable } from "../../../ui/DataTable";
import { Message } from "../../../ui/Message";
import { Status } from "../../../ui/Status";
import { statesOf } from "./model";

interface StepTableProps {
  steps: StepView[];
  now: number;
  selected?: string;
  onSelect: (id: string) => void;
}

/** The steps of a run, one a line. */
export function StepTable({ steps, now, selected, onSelect }: StepTableProps) {
  return (
    <DataTable
      label="steps"
      rows={steps}
      rowKey={(step) => step.id}
      selected={selected}
      columns={[
        {
          key: "step",
          header: "Step",
          value: (step) => step.id,
          cell: (step) => (
            <button type="button" className="button quiet" onClick={() => onSelect(step.id)}>
              {step.id}
            </button>
          ),
        },
        { key: "kind", header: "Kind", value: (step) => step.kind },
        {
          key: "status",
          header: "Status",
          value: (step) => step.status,
          cell: (step) => <Status status={step.status} />,
        },
        ...(steps.some((step) => step.items)
          ? [
              {
                key: "items",
                header: "Items",
                value: (step: StepView) => (step.items ? itemWords(statesOf(step.items)) : null),
              },
            ]
          : []),
        { key: "queued", header: "Queued", numeric: true, value: (step) => span(step.ready_at, step.started_at, now) },
        { key: "took", header: "Took", numeric: true, value: (step) => span(step.started_at, step.ended_at, now) },
        { key: "attempts", header: "Attempts", numeric: true, value: (step) => step.attempts.length },
        { key: "cpu", header: "CPU", numeric: true, value: (step) => duration(step.cost.cpu_ms) },
        { key: "memory", header: "Memory", numeric: true, value: (step) => bytes(step.cost.peak_memory_bytes) },
        { key: "rows", header: "Rows", numeric: true, value: (step) => count(step.rows) },
        { key: "bytes", header: "Bytes", numeric: true, value: (step) => bytes(step.bytes) },
        {
          key: "problem",
          header: "Problem",
          value: (step) => step.problem?.message,
          cell: (step) => <Message text={step.problem?.message} />,
        },
      ]}
    />
  );
}
