import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import type { WindowView } from "../../../api/types.gen";
import { short } from "../../../format/id";
import { plural } from "../../../format/number";
import { localTime, plainTimes } from "../../../format/time";
import { explain } from "../../../ui/Answer";
import { Command } from "../../../ui/Command";
import { Confirm } from "../../../ui/Confirm";
import { Facts } from "../../../ui/Facts";
import { Failure } from "../../../ui/Failure";
import { Message } from "../../../ui/Message";
import { Status } from "../../../ui/Status";
import { cancelWindows, rerunWindows } from "../queries";

interface WindowRangePanelProps {
  pipeline: string;
  trigger: string;
  zone: string;
  /** The window picked last. */
  window: WindowView | undefined;
  range: { from: string; until: string } | null;
  /** The windows of the range. */
  picked: WindowView[];
  /** Whether the next window that is picked ends the range. */
  extending: boolean;
  onExtend: (extending: boolean) => void;
}

const OVER = new Set(["succeeded", "failed", "cancelled", "stale"]);
const GOES_ON = new Set(["waiting", "waiting_on_dependency", "running"]);

/** What is known of the picked window, and what can be done with the picked range. */
export function WindowRangePanel(props: WindowRangePanelProps) {
  const { pipeline, trigger, zone, window, range, picked, extending, onExtend } = props;
  if (!window || !range) {
    return <p className="muted">Pick a window, or a range: its first, then with Shift its last. Arrow keys move.</p>;
  }
  return (
    <aside className="stack" aria-label="picked windows">
      <Facts
        facts={[
          ["Window", `${localTime(window.start)} to ${localTime(window.end)}`],
          ["Zone", zone],
          ["State", <Status key="state" status={window.state} />],
          ["Why", window.reason && <Message key="why" text={plainTimes(window.reason)} />],
          ["Attempts", window.attempt],
          ["Run", window.run_id && <RunLink key="run" id={window.run_id} />],
          ["May run", GOES_ON.has(window.state) && window.due_at !== window.end && localTime(window.due_at)],
        ]}
      />
      <button
        type="button"
        className="button"
        aria-pressed={extending}
        onClick={() => onExtend(!extending)}
        style={{ alignSelf: "start" }}
      >
        {extending ? "Pick the other end of the range …" : "Pick a range from here"}
      </button>
      <Actions key={`${range.from}${range.until}`} {...{ pipeline, trigger, range, picked }} />
    </aside>
  );
}

interface ActionsProps {
  pipeline: string;
  trigger: string;
  range: { from: string; until: string };
  picked: WindowView[];
}

function Actions({ pipeline, trigger, range, picked }: ActionsProps) {
  const client = useQueryClient();
  const [asking, setAsking] = useState(false);
  const onSuccess = () => client.invalidateQueries({ queryKey: ["windows", pipeline] });
  const over = picked.filter(({ state }) => OVER.has(state));
  const wrong = over.filter(({ state }) => state !== "succeeded");
  const live = picked.filter(({ state }) => GOES_ON.has(state));
  const again = useMutation({ mutationFn: () => rerunWindows(pipeline, { trigger, ...range }), onSuccess });
  const repair = useMutation({
    mutationFn: async () => {
      // A range has those in it that are well; each of the others is asked for by itself.
      for (const { start } of wrong) await rerunWindows(pipeline, { trigger, from: start });
      return { windows: wrong.length };
    },
    onSuccess,
  });
  const cancel = useMutation({
    mutationFn: () => cancelWindows(pipeline, { trigger, ...range }),
    onSuccess: () => {
      setAsking(false);
      return onSuccess();
    },
  });
  const busy = again.isPending || repair.isPending || cancel.isPending;
  const error = again.error ?? repair.error ?? cancel.error;
  const changed = again.data ?? repair.data ?? cancel.data;
  return (
    <>
      {picked.length > 1 && (
        <p className="small muted">
          {plural(picked.length, "window")}, {localTime(range.from)} to {localTime(range.until)}
        </p>
      )}
      <div className="row">
        {wrong.length > 0 && wrong.length < over.length && (
          <button type="button" className="button primary" disabled={busy} onClick={() => repair.mutate()}>
            Run the {wrong.length === 1 ? "one" : wrong.length} again that did not succeed
          </button>
        )}
        {over.length > 0 && (
          <button
            type="button"
            className={`button ${wrong.length === over.length ? "primary" : ""}`}
            disabled={busy}
            onClick={() => again.mutate()}
          >
            {over.length === 1 ? "Run again" : `Run all ${over.length} again`}
          </button>
        )}
        {live.length > 0 && (
          <button type="button" className="button danger" disabled={busy} onClick={() => setAsking(true)}>
            {live.length === 1 ? "Cancel" : `Cancel ${live.length}`}
          </button>
        )}
      </div>
      {asking && (
        <Confirm
          title={`Cancel ${plural(live.length, "window")}?`}
          action="Cancel them"
          busy={busy}
          error={cancel.error}
          onConfirm={() => cancel.mutate()}
          onClose={() => setAsking(false)}
        >
          <p>Those that wait will not run, and the runs of those that go on are cancelled. They can be run again.</p>
        </Confirm>
      )}
      {changed && <p className="small">{plural(changed.windows, "window")} changed.</p>}
      {error && !asking && <Failure problem={explain(error)} />}
      <Command
        line={`millrace windows ${pipeline} --trigger ${trigger} --rerun --from ${range.from} --to ${range.until}`}
      />
    </>
  );
}

function RunLink({ id }: { id: string }) {
  return (
    <Link to="/runs/$run" params={{ run: id }} className="mono">
      {short(id)}
    </Link>
  );
}
