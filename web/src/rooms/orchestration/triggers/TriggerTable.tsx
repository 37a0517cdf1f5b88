import { Link } from "@tanstack/react-router";
import type { TriggerStatusView } from "../../../api/types.gen";
import { plainTimes } from "../../../format/time";
import { DataTable } from "../../../ui/DataTable";
import { Message } from "../../../ui/Message";
import { Status } from "../../../ui/Status";
import { LastFiring } from "./LastFiring";
import { PauseButton } from "./PauseButton";
import { triggerGroup, triggerState } from "./triggerState";
import { Upcoming } from "./Upcoming";

/** Triggers with their health, those that need somebody first. */
export function TriggerTable({ triggers }: { triggers: TriggerStatusView[] }) {
  const urgency = { overdue: 0, paused: 1, over: 2, on: 3, listening: 4 };
  const rows = triggers.toSorted((one, other) => urgency[triggerState(one)] - urgency[triggerState(other)]);
  return (
    <DataTable
      label="triggers"
      rows={rows}
      rowKey={(trigger) => `${trigger.pipeline}/${trigger.trigger}`}
      stacked
      columns={[
        {
          key: "state",
          header: "State",
          value: triggerState,
          cell: (trigger) => <Status status={triggerState(trigger)} />,
        },
        {
          key: "trigger",
          header: "Trigger",
          value: (trigger) => `${trigger.pipeline}/${trigger.trigger}`,
          cell: (trigger) => (
            <div>
              <Link to="/pipelines/$name" params={{ name: trigger.pipeline }}>
                {trigger.pipeline}
              </Link>
              <div className="muted small">{trigger.trigger}</div>
            </div>
          ),
        },
        {
          key: "rule",
          header: "Rule",
          wrap: true,
          value: (trigger) => trigger.rule || trigger.description,
          cell: (trigger) => <Rule trigger={trigger} />,
        },
        {
          key: "next",
          header: "Next",
          value: (trigger) => trigger.next_at,
          cell: (trigger) => <Upcoming trigger={trigger} />,
        },
        {
          key: "last",
          header: "Last",
          wrap: true,
          value: (trigger) => trigger.last?.at,
          cell: (trigger) => <LastFiring trigger={trigger} />,
        },
        { key: "pause", header: "", value: () => "", cell: (trigger) => <PauseButton trigger={trigger} /> },
      ]}
    />
  );
}

/** The rule, its zone, and why it does not fire. */
function Rule({ trigger }: { trigger: TriggerStatusView }) {
  const { rule, description, timezone, why, paused } = trigger;
  const event = triggerGroup(trigger) === "event";
  return (
    <div>
      {event ? (
        <span className="mono">{description}</span>
      ) : (
        <>
          <span className="mono">{rule}</span> <span className="muted small">{timezone}</span>
        </>
      )}
      {!event && description !== rule && <div className="muted small">{description}</div>}
      {why && !paused && (
        <div className={`small ${trigger.overdue_since ? "wrong" : "muted"}`}>
          <Message text={plainTimes(why)} />
        </div>
      )}
    </div>
  );
}
