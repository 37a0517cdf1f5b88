import { Link } from "@tanstack/react-router";
import type { AlertView, RunSummary } from "../../api/types.gen";
import { Ago } from "../../ui/Ago";
import { Card } from "../../ui/Card";
import { Message } from "../../ui/Message";
import { Status } from "../../ui/Status";
import { unrepaired } from "./unrepaired";

/** Failed runs that no later run has made good, and alerts that fire. */
export function Attention({ runs, alerts, ready }: { runs: RunSummary[]; alerts: AlertView[]; ready: boolean }) {
  const failed = unrepaired(runs);
  const firing = alerts.filter((alert) => alert.state === "firing");
  if (!ready) return null;
  if (failed.length + firing.length === 0) {
    return (
      <p className="row" aria-live="polite">
        <Status status="ok" /> Nothing needs you.
      </p>
    );
  }
  return (
    <Card title="Needs you">
      <ul className="plain" aria-live="polite">
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
