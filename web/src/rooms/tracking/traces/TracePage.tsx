import "../../../ui/traces.css";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useDeferredValue, useMemo, useState } from "react";
import type { SpanSummary, TraceView } from "../../../api/types.gen";
import { duration } from "../../../format/duration";
import { short } from "../../../format/id";
import { count, plural } from "../../../format/number";
import { Ago } from "../../../ui/Ago";
import { Answer } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { Disclosure } from "../../../ui/Disclosure";
import { Facts } from "../../../ui/Facts";
import { PageHead } from "../../../ui/PageHead";
import { Source } from "../../../ui/Source";
import { Status } from "../../../ui/Status";
import { Tags } from "../Tags";
import type { TraceSearch } from "../search";
import { Assessments } from "./Assessments";
import { quoted, SESSION, USER } from "./clause";
import { spansQuery, traceQuery } from "./queries";
import { SpanPanel } from "./SpanPanel";
import { found as foundSpans, spanRows, traceEnd } from "./spanTree";
import { Waterfall } from "./Waterfall";

export function TracePage() {
  const { trace } = useParams({ from: "/traces/$trace" });
  const query = useQuery(traceQuery(trace));
  return <Answer query={query}>{(found) => <TraceBody key={found.trace.id} view={found} />}</Answer>;
}

function TraceBody({ view }: { view: TraceView }) {
  const { trace } = view;
  const spans = useQuery(spansQuery(trace.id));
  const search = useSearch({ from: "/traces/$trace" });
  const navigate = useNavigate({ from: "/traces/$trace" });
  const set = (change: TraceSearch) =>
    void navigate({ search: (before) => ({ ...before, ...change }), replace: true, resetScroll: false });
  const span = search.span ?? spans.data?.[0]?.id;
  return (
    <>
      <PageHead
        title={trace.name ?? trace.id}
        status={<Status status={trace.status} />}
        about={
          <>
            <Ago at={trace.started_at} />, took {duration(trace.duration_ms)}, {plural(trace.spans, "span")}
            {trace.tokens && `, ${plural(trace.tokens.total, "token")}`} <span className="mono small">{trace.id}</span>
          </>
        }
        actions={<Links view={view} />}
      />
      <Tags tags={trace.tags} />
      <Answer query={spans} rows={10}>
        {(found) =>
          found.length === 0 ? (
            <Card>
              <p className="muted">
                No span of this trace has come yet. What its client told: {trace.request ?? "nothing"} →{" "}
                {trace.response ?? "nothing"}
              </p>
            </Card>
          ) : (
            <div className="trace">
              <Tree spans={found} selected={span} find={search.find} onChange={set} />
              {span && <SpanPanel trace={trace.id} span={span} tab={search.tab} onTab={(tab) => set({ tab })} />}
            </div>
          )
        }
      </Answer>
      <Assessments
        trace={trace.id}
        assessments={trace.assessments}
        span={span}
        onSpan={(chosen) => set({ span: chosen })}
      />
      <Disclosure summary="What its client told">
        <Facts facts={[["request id", view.client_request_id], ...Object.entries(view.metadata)]} />
      </Disclosure>
      <Source cli={`MLFLOW_TRACKING_URI=${window.location.origin} ${view.command}`} json={view} />
    </>
  );
}

interface TreeProps {
  spans: SpanSummary[];
  selected?: string;
  find?: string;
  onChange: (change: TraceSearch) => void;
}

function Tree({ spans, selected, find, onChange }: TreeProps) {
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set());
  const wanted = useDeferredValue(find ?? "");
  const rows = useMemo(() => spanRows(spans, closed, foundSpans(spans, wanted)), [spans, closed, wanted]);
  const end = useMemo(() => traceEnd(spans), [spans]);
  const parents = useMemo(() => new Set(spans.map((span) => span.parent_id).filter((id) => id !== null)), [spans]);
  const failed = useMemo(() => spans.filter((span) => span.status === "ERROR"), [spans]);
  const toggle = (id: string) => {
    const next = new Set(closed);
    if (!next.delete(id)) next.add(id);
    setClosed(next);
  };
  const firstFailed = failed.at(-1);
  return (
    <Card>
      <div className="stack" style={{ gap: 8 }}>
        <div className="row">
          <input
            type="search"
            className="input"
            aria-label="Find spans"
            placeholder="Find by name or type"
            value={find ?? ""}
            onChange={(event) => onChange({ find: event.target.value || undefined })}
          />
          {firstFailed && (
            <button type="button" className="button" onClick={() => onChange({ span: firstFailed.id })}>
              {count(failed.length)} failed, go to one
            </button>
          )}
          <button
            type="button"
            className="button quiet"
            onClick={() => setClosed(closed.size > 0 ? new Set() : parents)}
          >
            {closed.size > 0 ? "Unfold all" : "Fold all"}
          </button>
        </div>
        {rows.length === 0 ? (
          <p className="muted">No span has “{find}” in its name or type.</p>
        ) : (
          <Waterfall
            rows={rows}
            end={end}
            selected={selected}
            onSelect={(span) => onChange({ span })}
            onToggle={toggle}
          />
        )}
      </div>
    </Card>
  );
}

function Links({ view: { trace, runs, prompts } }: { view: TraceView }) {
  return (
    <>
      <Link to="/traces" search={{ experiment: trace.experiment_id }} className="button">
        Traces of its experiment
      </Link>
      {trace.session && (
        <Link to="/traces" search={{ filter: `${SESSION} = ${quoted(trace.session)}` }} className="button">
          Session {trace.session.slice(0, 16)}
        </Link>
      )}
      {trace.user && (
        <Link to="/traces" search={{ filter: `${USER} = ${quoted(trace.user)}` }} className="button">
          User {trace.user.slice(0, 16)}
        </Link>
      )}
      {runs.map((run) => (
        <Link key={run} to="/tracked/$run" params={{ run }} className="button">
          Run {short(run)}
        </Link>
      ))}
      {prompts.map(({ name, version }) => (
        <Link key={`${name} ${version}`} to="/prompts/$name" params={{ name }} search={{ version }} className="button">
          Prompt {name} {version}
        </Link>
      ))}
    </>
  );
}
