import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { WindowView } from "../../../api/types.gen";
import { plural } from "../../../format/number";
import { short } from "../../../format/id";
import { explain } from "../../../ui/Answer";
import { Command } from "../../../ui/Command";
import { Facts } from "../../../ui/Facts";
import { Failure } from "../../../ui/Failure";
import { Status } from "../../../ui/Status";
import { cancelWindows, rerunWindows } from "../queries";

interface WindowRangePanelProps {
  pipeline: string;
  /** The window picked last. */
  window: WindowView | undefined;
  range: { from: string; until: string } | null;
}

/** What is known of the picked window, and what can be done with the picked range. */
export function WindowRangePanel({ pipeline, window, range }: WindowRangePanelProps) {
  const client = useQueryClient();
  const done = () => client.invalidateQueries({ queryKey: ["windows", pipeline] });
  const trigger = window?.trigger;
  const again = useMutation({ mutationFn: () => rerunWindows(pipeline, { trigger, ...asked(range) }), onSuccess: done });
  const cancel = useMutation({ mutationFn: () => cancelWindows(pipeline, { trigger, ...asked(range) }), onSuccess: done });
  if (!window || !range) {
    return <p className="muted">Pick a window, or a range: click its first, then its last with Shift.</p>;
  }
  const busy = again.isPending || cancel.isPending;
  const error = again.error ?? cancel.error;
  const changed = again.data ?? cancel.data;
  return (
    <aside className="stack" aria-label="picked windows">
      <Facts
        facts={[
          ["Window", `${local(window.start)} to ${local(window.end)}`],
          ["State", <Status key="state" status={window.state} />],
          ["Why", window.reason ?? "–"],
          ["Attempts", window.attempt],
          ["Run", window.run_id ? <RunLink key="run" id={window.run_id} /> : "–"],
        ]}
      />
      <div className="row">
        <button type="button" className="button primary" disabled={busy} onClick={() => again.mutate()}>
          Run again
        </button>
        <button type="button" className="button danger" disabled={busy} onClick={() => cancel.mutate()}>
          Cancel
        </button>
        <span className="muted small">
          {local(range.from)} to {local(range.until)}
        </span>
      </div>
      {changed && <p className="small">{plural(changed.windows, "window")} changed.</p>}
      {error && <Failure problem={explain(error)} />}
      <Command line={`millrace windows ${pipeline} --rerun --from ${range.from} --to ${range.until}`} />
    </aside>
  );
}

const asked = (range: WindowRangePanelProps["range"]) => ({ from: range?.from ?? "", until: range?.until });

const local = (instant: string) => instant.slice(0, 16).replace("T", " ");

function RunLink({ id }: { id: string }) {
  return (
    <Link to="/runs/$run" params={{ run: id }} className="mono">
      {short(id)}
    </Link>
  );
}
