import type { TriggerStatusView } from "../../../api/types.gen";
import { zoned } from "../../../format/time";
import { Ago } from "../../../ui/Ago";
import { Disclosure } from "../../../ui/Disclosure";
import { triggerGroup } from "./triggerState";

/** When a trigger fires next, in its own zone; the ten next instants, and which of them a change of the clock touches. */
export function Upcoming({ trigger }: { trigger: TriggerStatusView }) {
  const { next_at, upcoming, timezone } = trigger;
  if (trigger.paused) return <span className="muted">paused</span>;
  if (triggerGroup(trigger) === "event")
    return (
      <div>
        <span className="muted">when it happens</span>
        {next_at && (
          <div className="small">
            expected <Ago at={next_at} />
          </div>
        )}
      </div>
    );
  if (!next_at) return <span className="muted">never</span>;
  const touched = upcoming.filter((instant) => instant.clock_change).length;
  return (
    <div>
      <Ago at={next_at} /> {touched > 0 && <span className="tag tone-warn">clock change</span>}
      {upcoming.length === 0 ? (
        <div className="muted small nowrap">{zoned(next_at, timezone)}</div>
      ) : (
        <Disclosure summary={<span className="small nowrap">{zoned(next_at, timezone)}</span>}>
          <ol className="instants small">
            {upcoming.map((instant) => (
              <li key={instant.at}>
                <time dateTime={instant.at} className="nowrap">
                  {zoned(instant.at, timezone)} <span className="muted">{instant.local.slice(19)}</span>
                </time>
                {instant.clock_change && <div className="tone-warn">{instant.clock_change}</div>}
              </li>
            ))}
          </ol>
        </Disclosure>
      )}
    </div>
  );
}
