import { Link } from "@tanstack/react-router";
import type { AlertView, RunSummary, TriggerStatusView } from "../../api/types.gen";
import { plural } from "../../format/number";
import { Ago } from "../../ui/Ago";
import { Card } from "../../ui/Card";
import { Message } from "../../ui/Message";
import { Status } from "../../ui/Status";
import { troubles } from "./troubles";
import { unrepaired } from "./unrepaired";

interface AttentionProps {
  /** The newest runs of each pipeline. */
  runs: RunSummary[];
  alerts: AlertView[];
  triggers: TriggerStatusView[];
  /** Events that started nothing, and will not by themselves. */
  dead: number;
  /** Approvals that wait for somebody. */
  waiting: number;
  ready: boolean;
}

/** What waits for an approval, failed runs that no later run has made good, triggers and windows in trouble, dead letters, and alerts that fire. */
export function Attention({ runs, alerts, triggers, dead, waiting, ready }: AttentionProps) {
  const failed = unrepaired(runs);
  const troubled = troubles(triggers);
  // What is overdue is listed by itself.
  const firing = alerts.filter((alert) => alert.state === "firing" && alert.name !== "trigger_overdue");
  if (!ready) return null;
  if (failed.length + firing.length + troubled.length + dead + waiting === 0) {
    return (
      <p className="row" aria-live="polite">
        <Status status="ok" /> Nothing needs you.
      </p>
    );
  }
  return (
    <Card title="Needs you">
      <ul className="plain" aria-live="polite">
        {waiting > 0 && (
          <li className="row">
            <Status status="waiting" />
            <Link to="/approvals">
              {plural(waiting, "approval")} that {waiting === 1 ? "waits" : "wait"} for somebody
            </Link>
          </li>
        )}
        {failed.map((run) => (
          <li key={run.id} className="row">
            <Status status={run.status} />
            <Link to="/runs/$run" params={{ run: run.id }}>
              {run.pipeline}
            </Link>
            <span>
              <Message text={run.problem?.message} />
            </span>
            <span className="muted small">
              <Ago at={run.ended_at} />
            </span>
          </li>
        ))}
        {troubled.map(({ pipeline, trigger, status, words }) => (
          <li key={`${pipeline}/${trigger} ${status}`} className="row">
            <Status status={status} />
            {status === "overdue" ? (
              <Link to="/triggers" search={{ text: `${pipeline}/${trigger}` }}>
                {pipeline}/{trigger}
              </Link>
            ) : (
              <Link to="/pipelines/$name/windows" params={{ name: pipeline }} search={{ trigger }}>
                {pipeline}/{trigger}
              </Link>
            )}
            <span>
              <Message text={words} />
            </span>
          </li>
        ))}
        {dead > 0 && (
          <li className="row">
            <Status status="dead" />
            <Link to="/events" search={{ status: "dead" }}>
              {plural(dead, "event")} that started nothing
            </Link>
          </li>
        )}
        {firing.map((alert) => (
          <li key={alert.name} className="row">
            <Status status="firing" />
            <Link to="/monitoring">{alert.name}</Link>
            <code>{alert.expression}</code>
            <span className="muted small">
              <Ago at={alert.since} />
            </span>
          </li>
        ))}
      </ul>
    </Card>
  );
}
