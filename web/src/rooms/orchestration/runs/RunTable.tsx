import { Link } from "@tanstack/react-router";
import type { RunSummary } from "../../../api/types.gen";
import { short } from "../../../format/id";
import { span } from "../../../format/time";
import { Ago } from "../../../ui/Ago";
import { DataTable } from "../../../ui/DataTable";
import { Empty } from "../../../ui/Empty";
import { Message } from "../../../ui/Message";
import { Status } from "../../../ui/Status";
import { useNow } from "../../../ui/useNow";
import { isOver } from "../queries";

/** Runs, newest first. */
export function RunTable({
  runs,
  hint = "millrace run",
  label = "runs",
}: {
  runs: RunSummary[];
  hint?: string;
  label?: string;
}) {
  const now = useNow(runs.some((run) => !isOver(run.status)));
  if (runs.length === 0) return <Empty what="No run here. This starts one:" command={hint} />;
  return (
    <DataTable
      label={label}
      rows={runs}
      rowKey={(run) => run.id}
      columns={[
        {
          key: "status",
          header: "Status",
          value: (run) => run.status,
          cell: (run) => <Status status={run.status} />,
        },
        {
          key: "run",
          header: "Run",
          value: (run) => run.id,
          cell: (run) => (
            <Link to="/runs/$run" params={{ run: run.id }} className="mono">
              {short(run.id)}
            </Link>
          ),
        },
        {
          key: "pipeline",
          header: "Pipeline",
          value: (run) => run.pipeline,
          cell: (run) => (
            <Link to="/pipelines/$name" params={{ name: run.pipeline }}>
              {run.pipeline}
            </Link>
          ),
        },
        { key: "trigger", header: "Started by", value: (run) => run.trigger },
        { key: "created", header: "When", value: (run) => run.created_at, cell: (run) => <Ago at={run.created_at} /> },
        {
          key: "took",
          header: "Took",
          numeric: true,
          value: (run) => span(run.started_at, run.ended_at, now),
        },
        {
          key: "steps",
          header: "Steps",
          numeric: true,
          value: (run) => `${run.steps_done}/${run.steps_total}`,
        },
        { key: "reused", header: "Reused", numeric: true, value: (run) => run.steps_cached },
        {
          key: "problem",
          header: "Problem",
          value: (run) => run.problem?.message,
          cell: (run) => <Message text={run.problem?.message} />,
        },
      ]}
    />
  );
}
