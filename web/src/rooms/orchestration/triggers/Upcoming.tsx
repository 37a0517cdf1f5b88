import type { TriggerStatusView } from "../../../api/types.gen";
import { Ago } from "../../../ui/Ago";
import { Disclosure } from "../../../ui/Disclosure";

/** When a trigger fires next; the ten next instants, and which of them a change of the clock touches. */
export function Upcoming({ trigger }: { trigger: TriggerStatusView }) {
  if (trigger.paused) return <span className="muted">paused</span>;
  if (!trigger.next_at) return <span className="muted">never</span>;
  const touched = trigger.upcoming.filter((instant) => instant.clock_change).length;
  if (trigger.upcoming.length === 0) return <Ago at={trigger.next_at} />;
  return (
    <Disclosure
      summary={
        <>
          <Ago at={trigger.next_at} /> {touched > 0 && <span className="tag tone-warn">clock change</span>}
        </>
      }
    >
      <ol className="instants small">
        {trigger.upcoming.map((instant) => (
          <li key={instant.at}>
            <time dateTime={instant.at} className="mono nowrap">
              {instant.local.replace("T", " ")}
            </time>
            {instant.clock_change && <div className="tone-warn">{instant.clock_change}</div>}
          </li>
        ))}
      </ol>
    </Disclosure>
  );
}
