import { Link } from "@tanstack/react-router";
import type { TriggerStatusView } from "../../../api/types.gen";
import { short } from "../../../format/id";
import { Ago } from "../../../ui/Ago";
import { DataTable } from "../../../ui/DataTable";
import { Message } from "../../../ui/Message";
import { Status } from "../../../ui/Status";
import { PauseButton } from "./PauseButton";
import { Upcoming } from "./Upcoming";
import { triggerState } from "./triggerState";

/** Triggers with their health, those that need somebody first. */
export function TriggerTable({ triggers }: { triggers: TriggerStatusView[] }) {
  const urgency = { overdue: 0, paused: 1, over: 2, on: 3 };
  const rows = triggers.toSorted((one, other) => urgency[triggerState(one)] - urgency[triggerState(other)]);
  return (
    <DataTable
      label="triggers"
      rows={rows}
      rowKey={(trigger) => `${trigger.pipeline}/${trigger.trigger}`}
      columns={[
        {
          key: "state",
          header: "State",
          value: triggerState,
          cell: (trigger) => <Status status={triggerState(trigger)} />,
        },
        {
          key: "pipeline",
          header: "Pipeline",
          value: (trigger) => trigger.pipeline,
          cell: (trigger) => (
            <Link to="/pipelines/$name" params={{ name: trigger.pipeline }}>
              {trigger.pipeline}
            </Link>
          ),
        },
        { key: "trigger", header: "Trigger", value: (trigger) => trigger.trigger },
        {
          key: "rule",
          header: "Rule",
          value: (trigger) => trigger.rule,
          cell: (trigger) => (
            <div>
              <span className="mono">{trigger.rule}</span> <span className="muted small">{trigger.timezone}</span>
              <div className="muted small">{trigger.description}</div>
            </div>
          ),
        },
        {
          key: "next",
          header: "Next",
          value: (trigger) => trigger.next_at,
          cell: (trigger) => <Upcoming trigger={trigger} />,
        },
        { key: "last", header: "Last", value: (trigger) => trigger.last?.at, cell: (trigger) => <Last trigger={trigger} /> },
        {
          key: "why",
          header: "Why not",
          value: (trigger) => trigger.why,
          cell: (trigger) => <Message text={trigger.why ?? undefined} />,
        },
        { key: "pause", header: "", value: () => "", cell: (trigger) => <PauseButton trigger={trigger} /> },
      ]}
    />
  );
}

function Last({ trigger }: { trigger: TriggerStatusView }) {
  const { last, windows, pipeline } = trigger;
  if (trigger.kind === "window") {
    return (
      <Link to="/pipelines/$name/windows" params={{ name: pipeline }}>
        {windows.length === 0 ? "no window yet" : windows.map(({ state, windows: n }) => `${n} ${state.replaceAll("_", " ")}`).join(", ")}
      </Link>
    );
  }
  if (!last) return <span className="muted">never</span>;
  return (
    <span className="row" style={{ gap: 6 }}>
      <Ago at={last.at} />
      {last.run_id && (
        <Link to="/runs/$run" params={{ run: last.run_id }} className="mono">
          {short(last.run_id)}
        </Link>
      )}
      {last.status && <Status status={last.status} quiet />}
      {!last.run_id && last.note && <span className="muted small">{last.note}</span>}
    </span>
  );
}
