import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { plural } from "../../../format/number";
import { dateTime } from "../../../format/time";
import { Answer } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { Empty } from "../../../ui/Empty";
import { PageHead } from "../../../ui/PageHead";
import { useNow } from "../../../ui/useNow";
import { pipelinesQuery, timelineQuery } from "../queries";
import { Lanes } from "./Lanes";
import { move, SPANS, type Window, zoom } from "./zoom";

const DAY = 86_400_000;

/** All pipelines over time: a lane each, a bar a run. */
export function TimelinePage() {
  const search = useSearch({ from: "/timeline" });
  const navigate = useNavigate({ from: "/timeline" });
  const now = useNow(true, 5000);
  const span = search.span ?? DAY;
  // A window that ends now moves with it, in steps, so that its query is not asked anew every second.
  const step = Math.max(5000, span / 500);
  const to = search.to ?? Math.ceil(now / step) * step;
  const shown: Window = { from: to - span, to };
  const query = useQuery(timelineQuery(shown.from, shown.to));
  const pipelines = useQuery(pipelinesQuery());
  const go = (next: Window) => {
    const live = next.to >= now;
    void navigate({ search: { span: next.to - next.from, to: live ? undefined : next.to }, replace: true });
  };
  return (
    <>
      <PageHead
        title="Timeline"
        about={
          <>
            {dateTime(shown.from)} to {search.to === undefined ? "now" : dateTime(shown.to)}
          </>
        }
        actions={
          <>
            <div className="row" role="group" aria-label="length" style={{ gap: 4 }}>
              {SPANS.map(({ name, ms }) => (
                <button
                  key={name}
                  type="button"
                  className="button"
                  aria-pressed={span === ms}
                  onClick={() => go({ from: shown.to - ms, to: shown.to })}
                >
                  {name}
                </button>
              ))}
            </div>
            <div className="row" style={{ gap: 4 }}>
              <button type="button" className="button" onClick={() => go(move(shown, -0.5))}>
                Earlier
              </button>
              <button
                type="button"
                className="button"
                disabled={search.to === undefined}
                onClick={() => go(move(shown, 0.5))}
              >
                Later
              </button>
              <button
                type="button"
                className="button"
                disabled={search.to === undefined}
                onClick={() => void navigate({ search: { span }, replace: true })}
              >
                Now
              </button>
              <button type="button" className="button" aria-label="zoom in" onClick={() => go(zoom(shown, 0.5, 1))}>
                +
              </button>
              <button type="button" className="button" aria-label="zoom out" onClick={() => go(zoom(shown, 2, 1))}>
                −
              </button>
            </div>
          </>
        }
      />
      <Card>
        <Answer query={query} rows={8}>
          {(view) => {
            const names = new Set([
              ...(pipelines.data ?? []).map(({ name }) => name),
              ...view.lanes.map((lane) => lane.pipeline),
            ]);
            const count = view.lanes.reduce((sum, lane) => sum + lane.runs.length, 0);
            if (names.size === 0)
              return <Empty what="No pipeline yet. This makes an example:" command="millrace init" />;
            return (
              <>
                <p className="small muted">
                  {plural(count, "run")}
                  {view.whole_since_ms !== null &&
                    `; there are more, so that only what was made since ${dateTime(view.whole_since_ms)} is all here`}
                </p>
                <Lanes names={[...names].toSorted()} view={view} shown={shown} now={now} onWindow={go} />
              </>
            );
          }}
        </Answer>
      </Card>
    </>
  );
}
