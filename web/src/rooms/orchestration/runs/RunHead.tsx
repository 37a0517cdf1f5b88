import { Link } from "@tanstack/react-router";
import type { RunView } from "../../../api/types.gen";
import { short } from "../../../format/id";
import { span } from "../../../format/time";
import { value } from "../../../format/value";
import { Ago } from "../../../ui/Ago";
import { Failure } from "../../../ui/Failure";
import { PageHead } from "../../../ui/PageHead";
import { Status } from "../../../ui/Status";
import { starter } from "./causes";
import { costWords } from "./cost";
import { RunActions } from "./RunActions";

/** What ran, how it went, and what can be done about it. */
export function RunHead({ view, now }: { view: RunView; now: number }) {
  const { run } = view;
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
            {run.paused && <span className="tag">held</span>}
            {run.late && <span className="tag">late</span>}
          </span>
        }
        about={
          <>
            <Ago at={run.created_at} />, started by{" "}
            {run.parent ? <Parent run={run.parent.run} step={run.parent.step} /> : starter(run.trigger)}, took{" "}
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
            <RunActions run={run} />
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
      {run.problem && <Failure problem={run.problem} />}
    </>
  );
}

/** The step of another run that called this one, with its item. */
function Parent({ run, step }: { run: string; step: string }) {
  const [, name = step, item] = /^(.+)\[(\d+)\]$/.exec(step) ?? [];
  return (
    <>
      step{" "}
      <Link
        to="/runs/$run"
        params={{ run }}
        search={{ step: name, item: item === undefined ? undefined : Number(item) }}
        className="underlined"
      >
        {step} of run <span className="mono">{short(run)}</span>
      </Link>
    </>
  );
}
