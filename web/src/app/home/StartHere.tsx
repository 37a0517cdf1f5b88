import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { Card } from "../../ui/Card";

interface StartHereProps {
  run?: string;
  pipeline?: string;
  endpoint?: string;
  monitor?: string;
}

/** Ways in, each to something that is already filled. */
export function StartHere({ run, pipeline, endpoint, monitor }: StartHereProps) {
  return (
    <section aria-labelledby="start-here" className="stack">
      <h2 id="start-here">Start here</h2>
      <div className="cards">
        {run && (
          <Way
            title="Read a finished run"
            link={
              <Link to="/runs/$run" params={{ run }}>
                Open the run
              </Link>
            }
          >
            Its graph, timeline, logs, and the curves of its evaluation.
          </Way>
        )}
        {pipeline && (
          <Way
            title="Run a pipeline with other inputs"
            link={
              <Link to="/pipelines/$name" params={{ name: pipeline }} search={{ tab: "run" }}>
                Open the form
              </Link>
            }
          >
            Steps whose inputs did not change are reused.
          </Way>
        )}
        {endpoint && (
          <Way
            title="Ask a model"
            link={
              <Link to="/endpoints/$name" params={{ name: endpoint }}>
                Try it
              </Link>
            }
          >
            A form with an example row, and the same call for a shell and Python.
          </Way>
        )}
        {monitor && (
          <Way
            title="See what has drifted"
            link={
              <Link to="/monitoring/$name" params={{ name: monitor }}>
                Open the monitor
              </Link>
            }
          >
            Each column then and now, and why it counts as drifted.
          </Way>
        )}
        <Way title="Query the data" link={<Link to="/data">Open the SQL box</Link>}>
          Every dataset is a table.
        </Way>
      </div>
    </section>
  );
}

function Way({ title, link, children }: { title: string; link: ReactNode; children: ReactNode }) {
  return (
    <Card>
      <h3>{title}</h3>
      <p className="muted small">{children}</p>
      {link}
    </Card>
  );
}
