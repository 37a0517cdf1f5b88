import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { short } from "../../../../format/id";
import { Answer } from "../../../../ui/Answer";
import { runQuery } from "../../queries";
import { LogView } from "./LogView";

interface ReusedLogProps {
  /** The run whose result stood in. */
  run: string;
  step: string;
  /** The attempt that the address asks for; the last if absent. */
  attempt?: number;
  /** Runs that only passed it on. */
  through?: readonly string[];
}

/** The log of the run whose result was reused: the step itself did nothing, and so wrote nothing. */
export function ReusedLog({ run, step, attempt, through = [] }: ReusedLogProps) {
  const query = useQuery(runQuery(run));
  return (
    <Answer query={query} rows={6}>
      {(view) => {
        const found = view.steps.find((entry) => entry.id === step);
        // What was taken over may itself have been reused, though never in a circle.
        const from = found?.cached_from;
        if (from && from !== run && !through.includes(from)) {
          return <ReusedLog run={from} step={step} attempt={attempt} through={[...through, run]} />;
        }
        const last = found?.attempts.at(-1)?.attempt ?? 1;
        return (
          <div className="stack" style={{ gap: 6 }}>
            <p className="small muted">
              Reused: this is the log of{" "}
              <Link
                to="/runs/$run"
                params={{ run }}
                search={{ step, part: "log" }}
                className="underlined"
                aria-label={`run #${view.run.number}, ${short(run)}`}
              >
                run #{view.run.number} <span className="mono">{short(run)}</span>
              </Link>
              , whose result stands in.
            </p>
            {found && <LogView run={run} step={step} attempt={Math.min(attempt ?? last, last)} failed={false} />}
          </div>
        );
      }}
    </Answer>
  );
}
