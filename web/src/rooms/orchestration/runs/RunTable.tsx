import { Link } from "@tanstack/react-router";
import type { RunSummary } from "../../../api/types.gen";
import { short } from "../../../format/id";
import { span } from "../../../format/time";
import { Ago } from "../../../ui/Ago";
import { type Column, DataTable } from "../../../ui/DataTable";
import { Empty } from "../../../ui/Empty";
import { Message } from "../../../ui/Message";
import { Status } from "../../../ui/Status";
import { useNow } from "../../../ui/useNow";
import { isOver } from "../queries";
import { starter } from "./causes";

/** Runs, newest first. */
export function RunTable({
  runs,
  hint = "millrace run",
  label = "runs",
  chosen,
  onChoose,
}: {
  runs: RunSummary[];
  hint?: string;
  label?: string;
  /** Runs that are picked, where some can be. */
  chosen?: ReadonlySet<string>;
  onChoose?: (chosen: ReadonlySet<string>) => void;
}) {
  const now = useNow(runs.some((run) => !isOver(run.status)));
  if (runs.length === 0) return <Empty what="No run here. This starts one:" command={hint} />;
  return (
    <DataTable
      label={label}
      rows={runs}
      rowKey={(run) => run.id}
      columns={[
        ...(chosen && onChoose ? [picking(chosen, onChoose)] : []),
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
        { key: "number", header: "#", numeric: true, value: (run) => run.number },
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
        { key: "trigger", header: "Started by", value: (run) => run.trigger, cell: (run) => starter(run.trigger) },
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

/** Boxes to pick runs that still go on. */
function picking(chosen: ReadonlySet<string>, onChoose: (chosen: ReadonlySet<string>) => void): Column<RunSummary> {
  return {
    key: "picked",
    header: <span className="visually-hidden">picked</span>,
    value: (run) => chosen.has(run.id),
    cell: (run) =>
      isOver(run.status) ? null : (
        <input
          type="checkbox"
          aria-label={`pick ${run.pipeline} #${run.number}`}
          checked={chosen.has(run.id)}
          onChange={() => {
            const next = new Set(chosen);
            if (!next.delete(run.id)) next.add(run.id);
            onChoose(next);
          }}
        />
      ),
  };
}
