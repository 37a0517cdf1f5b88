import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { RunView } from "../../../api/types.gen";
import { bytes } from "../../../format/bytes";
import { duration } from "../../../format/duration";
import { count, percent } from "../../../format/number";
import { Answer } from "../../../ui/Answer";
import { Facts } from "../../../ui/Facts";
import { Failure } from "../../../ui/Failure";
import { Status } from "../../../ui/Status";
import { useNow } from "../../../ui/useNow";
import { copyRunQuery } from "../queries";
import { left } from "./left";

/** How far a copy is: rows, bytes, what is left of its time; and where it can be seen whole. */
export function CopyProgress({ run }: { run: string }) {
  const found = useQuery(copyRunQuery(run));
  return (
    <Answer query={found} rows={3}>
      {(view) => <Shown view={view} />}
    </Answer>
  );
}

function Shown({ view }: { view: RunView }) {
  const now = useNow();
  const { run } = view;
  const step = view.steps[0];
  const progress = step?.progress;
  const began = run.started_at ? Date.parse(run.started_at) : now;
  const took = (run.ended_at ? Date.parse(run.ended_at) : now) - began;
  const fraction = run.ended_at ? null : (progress?.fraction ?? null);
  const rejected = step?.outputs.rejected;
  const problem = step?.attempts.at(-1)?.problem ?? run.problem;
  return (
    <section className="stack copy-progress" aria-label="progress" aria-live="polite">
      <div className="row">
        <Status status={run.status} />
        <Link to="/runs/$run" params={{ run: run.id }} className="underlined">
          Run {run.number} of {run.pipeline}
        </Link>
      </div>
      {fraction !== null && <progress value={fraction} max={1} aria-label="share that is done" />}
      <Facts
        facts={[
          ["Rows", count(step?.rows ?? progress?.rows)],
          ["Bytes", progress?.bytes ? bytes(progress.bytes) : null],
          ["Rejected", typeof rejected === "number" ? count(rejected) : null],
          ["Done", fraction === null ? null : percent(fraction)],
          ["Time", duration(took)],
          ["Left", fraction === null ? null : duration(left(took, fraction))],
          ["Now", run.ended_at ? null : progress?.message],
        ]}
      />
      {problem && <Failure problem={problem} />}
    </section>
  );
}
