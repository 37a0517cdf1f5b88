import { useQuery } from "@tanstack/react-query";
import type { StepView } from "../../../../api/types.gen";
import { clock, span } from "../../../../format/time";
import { value } from "../../../../format/value";
import { Answer } from "../../../../ui/Answer";
import { Facts } from "../../../../ui/Facts";
import { Failure } from "../../../../ui/Failure";
import { Status } from "../../../../ui/Status";
import { isOver, itemQuery } from "../../queries";
import { CalledRuns } from "../CalledRuns";
import { LogView } from "../log/LogView";

interface ItemPanelProps {
  run: string;
  step: StepView;
  index: number;
  now: number;
}

const FAILED = new Set(["failed", "timed_out"]);

/** One item of a step: how it went, what it left, the run that it called, and its log. */
export function ItemPanel({ run, step, index, now }: ItemPanelProps) {
  const query = useQuery(itemQuery(run, step.id, index, isOver(step.status)));
  return (
    <section className="stack" aria-label={`item ${index}`}>
      <Answer query={query} rows={4}>
        {(item) => {
          if (!item) return <p className="muted">Item {index} has not begun.</p>;
          return (
            <>
              <h3 className="row">
                {item.step} <span className="muted">{item.label}</span> <Status status={item.status} />
              </h3>
              {item.problem && <Failure problem={item.problem} />}
              <Facts
                facts={[
                  ["started", item.started_at && clock(item.started_at)],
                  ["took", item.started_at && span(item.started_at, item.ended_at, now)],
                  ["attempts", item.attempts],
                  ["why", item.why.length > 0 && item.why.join("; ")],
                  ...Object.entries(item.outputs).map(([name, given]): [string, React.ReactNode] => [
                    name,
                    <span key={name} className="mono">
                      {value(given)}
                    </span>,
                  ]),
                ]}
              />
              {step.kind === "pipeline" ? (
                <CalledRuns run={run} step={item.step} />
              ) : (
                item.attempts > 0 && (
                  <LogView
                    key={`${item.step} ${item.attempts}`}
                    run={run}
                    step={item.step}
                    attempt={item.attempts}
                    failed={FAILED.has(item.status)}
                  />
                )
              )}
            </>
          );
        }}
      </Answer>
    </section>
  );
}
