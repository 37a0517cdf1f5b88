import { Link } from "@tanstack/react-router";
import type { TriggerStatusView } from "../../../api/types.gen";
import { short } from "../../../format/id";
import { Ago } from "../../../ui/Ago";
import { Status } from "../../../ui/Status";
import { statusLook } from "../../../ui/statusLook";
import { triggerGroup } from "./triggerState";

/** What a trigger started last: a run, its windows by state, or what became of its events. */
export function LastFiring({ trigger }: { trigger: TriggerStatusView }) {
  const { last, pipeline } = trigger;
  const group = triggerGroup(trigger);
  if (group === "window") return <Windows trigger={trigger} />;
  if (group === "event") {
    return (
      <Link to="/events" search={{ pipeline, trigger: trigger.trigger }}>
        its events
      </Link>
    );
  }
  if (!last) return <span className="muted">never</span>;
  return (
    <span className="row" style={{ gap: 6, position: "relative" }}>
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

/** What needs somebody, first. */
const ORDER = ["failed", "stale", "waiting_on_dependency", "running", "waiting", "cancelled", "succeeded"];

function Windows({ trigger: { pipeline, trigger, windows } }: { trigger: TriggerStatusView }) {
  const shown = windows.toSorted((one, other) => ORDER.indexOf(one.state) - ORDER.indexOf(other.state));
  return (
    <Link to="/pipelines/$name/windows" params={{ name: pipeline }} search={{ trigger }}>
      {shown.length === 0
        ? "no window yet"
        : shown.map(({ state, windows: n }) => `${n} ${statusLook(state).word}`).join(", ")}
    </Link>
  );
}
