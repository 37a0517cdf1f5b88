import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Answer } from "../../../ui/Answer";
import { runsQuery } from "../queries";
import { RunTable } from "./RunTable";

/** Runs that a step called, or one item of it: `score[3]`. */
export function CalledRuns({ run, step }: { run: string; step: string }) {
  const query = useQuery(runsQuery({ parent: run, step, limit: 20 }));
  return (
    <Answer query={query} rows={2}>
      {(page) =>
        page.runs.length === 0 ? (
          <p className="muted small">It has not called its run yet.</p>
        ) : (
          <>
            <RunTable runs={page.runs} label={`runs of ${step}`} />
            {page.next && (
              <Link to="/runs" search={{ parent: run, step }} className="button">
                All runs that it called
              </Link>
            )}
          </>
        )
      }
    </Answer>
  );
}
