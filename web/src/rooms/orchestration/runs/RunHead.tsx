import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import type { RunView } from "../../../api/types.gen";
import { short } from "../../../format/id";
import { span } from "../../../format/time";
import { value } from "../../../format/value";
import { Ago } from "../../../ui/Ago";
import { explain } from "../../../ui/Answer";
import { Failure } from "../../../ui/Failure";
import { PageHead } from "../../../ui/PageHead";
import { Status } from "../../../ui/Status";
import { costWords } from "./cost";
import { cancelRun, isOver, rerun } from "../queries";

const STARTERS: Record<string, string> = { manual: "hand", cron: "its schedule", demo: "the demo", rerun: "a rerun" };
const starter = (trigger: string) => STARTERS[trigger] ?? trigger;

/** What ran, how it went, and the two things to do about it. */
export function RunHead({ view, now }: { view: RunView; now: number }) {
  const { run } = view;
  const client = useQueryClient();
  const navigate = useNavigate();
  const cancel = useMutation({
    mutationFn: () => cancelRun(run.id),
    onSuccess: () => client.invalidateQueries({ queryKey: ["runs", run.id] }),
  });
  const again = useMutation({
    mutationFn: () => rerun(run.id),
    onSuccess: (started) => navigate({ to: "/runs/$run", params: { run: started.id } }),
  });
  const failed = cancel.error ?? again.error;
  const cost = costWords(view.cost);
  const inputs = Object.entries(view.inputs);
  return (
    <>
      <PageHead
        title={
          <>
            <Link to="/pipelines/$name" params={{ name: run.pipeline }} className="underlined">
              {run.pipeline}
            </Link>{" "}
            #{run.number} <span className="mono muted">{short(run.id)}</span>
          </>
        }
        status={
          <span aria-live="polite">
            <Status status={run.status} />
          </span>
        }
        about={
          <>
            <Ago at={run.created_at} />, started by {starter(run.trigger)}, took{" "}
            {span(run.started_at, run.ended_at, now)}, {run.steps_done} of {run.steps_total} steps done,{" "}
            {run.steps_cached} reused{cost && `; used ${cost}`}
          </>
        }
        actions={
          <>
            {view.experiment_id && (
              <Link to="/experiments/$experiment" params={{ experiment: view.experiment_id }} className="button">
                Experiment
              </Link>
            )}
            <Link to="/runs/$run/compare" params={{ run: run.id }} className="button">
              Compare
            </Link>
            {isOver(run.status) ? (
              <button type="button" className="button" disabled={again.isPending} onClick={() => again.mutate()}>
                Run again
              </button>
            ) : (
              <button type="button" className="button" disabled={cancel.isPending} onClick={() => cancel.mutate()}>
                Cancel
              </button>
            )}
          </>
        }
      />
      {inputs.length > 0 && (
        <p className="row small">
          {inputs.map(([name, given]) => (
            <span key={name} className="tag">
              {name} = {value(given)}
            </span>
          ))}
        </p>
      )}
      {failed && <Failure problem={explain(failed)} />}
      {run.problem && <Failure problem={run.problem} />}
    </>
  );
}
