import type { AttemptView } from "../../../api/types.gen";
import { bytes } from "../../../format/bytes";
import { duration } from "../../../format/duration";
import { clock, span } from "../../../format/time";
import { DataTable } from "../../../ui/DataTable";
import { Message } from "../../../ui/Message";
import { Status } from "../../../ui/Status";
import { cpuWords } from "./cost";

/** The tries of a step. */
export function AttemptTable({ attempts, now }: { attempts: AttemptView[]; now: number }) {
  if (attempts.length === 0) return <p className="muted">Not tried yet.</p>;
  return (
    <DataTable
      label="attempts"
      rows={attempts}
      rowKey={(attempt) => String(attempt.attempt)}
      columns={[
        { key: "attempt", header: "Attempt", value: (attempt) => attempt.attempt },
        {
          key: "status",
          header: "Status",
          value: (attempt) => attempt.status,
          cell: (attempt) => <Status status={attempt.status} />,
        },
        { key: "started", header: "Started", value: (attempt) => clock(attempt.started_at) },
        {
          key: "took",
          header: "Took",
          numeric: true,
          value: (attempt) => span(attempt.started_at, attempt.ended_at, now),
        },
        { key: "exit", header: "Exit", value: (attempt) => attempt.exit },
        {
          key: "cpu",
          header: "CPU",
          numeric: true,
          value: (attempt) => duration(attempt.cost.cpu_ms),
          cell: (attempt) => <span title={cpuWords(attempt.cost)}>{duration(attempt.cost.cpu_ms)}</span>,
        },
        {
          key: "memory",
          header: "Peak memory",
          numeric: true,
          value: (attempt) => bytes(attempt.cost.peak_memory_bytes),
        },
        { key: "read", header: "Read", numeric: true, value: (attempt) => bytes(attempt.cost.read_bytes) },
        { key: "written", header: "Written", numeric: true, value: (attempt) => bytes(attempt.cost.written_bytes) },
        {
          key: "problem",
          header: "Problem",
          value: (attempt) => attempt.problem?.message,
          cell: (attempt) => <Message text={attempt.problem?.message} />,
        },
      ]}
    />
  );
}
