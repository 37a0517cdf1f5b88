import { useMemo, useState } from "react";
import type { TriggerStatusView, WindowView } from "../../../api/types.gen";
import { count, plural } from "../../../format/number";
import { Card } from "../../../ui/Card";
import { Status } from "../../../ui/Status";
import { statusLook } from "../../../ui/statusLook";
import { rangeOf, within } from "./grid";
import { WindowGrid } from "./WindowGrid";
import { WindowRangePanel } from "./WindowRangePanel";

interface WindowsCardProps {
  pipeline: string;
  trigger: TriggerStatusView;
  windows: WindowView[];
  /** Shows older windows, too; absent if there are no more. */
  more: (() => void) | undefined;
}

/** The windows of a trigger as a calendar, and what is to be done with those that are picked. */
export function WindowsCard({ pipeline, trigger, windows, more }: WindowsCardProps) {
  const [ends, setEnds] = useState<[string, string] | null>(null);
  const [extending, setExtending] = useState(false);
  const find = (start: string | undefined) => windows.find((window) => window.start === start);
  const first = find(ends?.[0]);
  const last = find(ends?.[1]);
  const range = first && last ? rangeOf(first, last) : null;
  const picked = range ? within(windows, range) : [];
  const starts = new Set(picked.map(({ start }) => start));
  const pick = (window: WindowView, extend: boolean) => {
    setEnds((now) => ((extend || extending) && now ? [now[0], window.start] : [window.start, window.start]));
    setExtending(false);
  };
  /** The next older window in a state, from the one that is picked; the newest after the oldest. */
  const go = (state: string) => {
    const those = windows.filter((window) => window.state === state).toReversed();
    const at = those.findIndex((window) => window.start === last?.start);
    const next = those[(at + 1) % those.length];
    if (next) pick(next, false);
  };
  return (
    <Card title="Windows" actions={<Legend windows={windows} onGo={go} />}>
      {windows.length === 0 ? (
        <p className="muted">No window is over yet.</p>
      ) : (
        <div className="window-page">
          <div className="stack">
            <WindowGrid windows={windows} picked={starts} at={last?.start ?? null} onPick={pick} />
            {more && (
              <p className="small muted row">
                The newest {plural(windows.length, "window")}.
                <button type="button" className="button" onClick={more}>
                  Show older ones, too
                </button>
              </p>
            )}
          </div>
          <WindowRangePanel
            pipeline={pipeline}
            trigger={trigger.trigger}
            zone={trigger.timezone}
            window={last}
            range={range}
            picked={picked}
            extending={extending}
            onExtend={setExtending}
          />
        </div>
      )}
    </Card>
  );
}

/** The states that are there, with how many windows are in each; each goes to the next of its windows. */
function Legend({ windows, onGo }: { windows: WindowView[]; onGo: (state: string) => void }) {
  const states = useMemo(() => {
    const counted = new Map<string, number>();
    for (const { state } of windows) counted.set(state, (counted.get(state) ?? 0) + 1);
    return counted;
  }, [windows]);
  return (
    <>
      {[...states].map(([state, found]) => (
        <button
          key={state}
          type="button"
          className="button quiet small row"
          style={{ gap: 4 }}
          title={`go to the next window that is ${statusLook(state).word}`}
          onClick={() => onGo(state)}
        >
          <Status status={state} /> {count(found)}
        </button>
      ))}
    </>
  );
}
