import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { TraceSummary } from "../../../api/types.gen";
import { duration } from "../../../format/duration";
import { count } from "../../../format/number";
import { dateTime } from "../../../format/time";
import { value } from "../../../format/value";
import { Ago } from "../../../ui/Ago";
import { Status } from "../../../ui/Status";
import { quoted, SESSION, USER } from "./clause";

export interface TraceColumn {
  key: string;
  name: string;
  width: number;
  numeric?: boolean;
  /** What the server sorts by, if it does. */
  sort?: string;
  /** Plain value, for the export. */
  value: (trace: TraceSummary) => string | number | null | undefined;
  cell?: (trace: TraceSummary, narrow: (clause: string) => void) => ReactNode;
}

/** What a list of traces shows. */
export const COLUMNS: TraceColumn[] = [
  {
    key: "name",
    name: "Trace",
    width: 190,
    sort: "name",
    value: (trace) => trace.name ?? trace.id,
    cell: (trace) => (
      <Link to="/traces/$trace" params={{ trace: trace.id }} title={trace.id}>
        {trace.name ?? trace.id}
      </Link>
    ),
  },
  {
    key: "status",
    name: "Status",
    width: 118,
    sort: "status",
    value: (trace) => trace.status,
    cell: (trace) => <Status status={trace.status} />,
  },
  {
    key: "started",
    name: "Started",
    width: 122,
    sort: "timestamp_ms",
    value: (trace) => trace.started_at,
    cell: (trace) => <Ago at={trace.started_at} />,
  },
  { key: "request", name: "Request", width: 260, value: (trace) => trace.request },
  { key: "response", name: "Response", width: 260, value: (trace) => trace.response },
  {
    key: "duration",
    name: "Took",
    width: 90,
    numeric: true,
    sort: "execution_time_ms",
    value: (trace) => trace.duration_ms,
    cell: (trace) => duration(trace.duration_ms),
  },
  {
    key: "tokens",
    name: "Tokens",
    width: 84,
    numeric: true,
    value: (trace) => trace.tokens?.total,
    cell: ({ tokens }) =>
      tokens && <span title={`${tokens.input} in, ${tokens.output} out`}>{count(tokens.total)}</span>,
  },
  {
    key: "spans",
    name: "Spans",
    width: 74,
    numeric: true,
    value: (trace) => trace.spans,
    cell: (trace) => count(trace.spans),
  },
  {
    key: "assessments",
    name: "Assessments",
    width: 190,
    value: (trace) => trace.assessments.map(({ name, value: said }) => `${name}: ${value(said)}`).join("; "),
    cell: (trace) => (
      <span className="row" style={{ flexWrap: "nowrap", overflow: "hidden" }}>
        {trace.assessments
          .filter(({ valid }) => valid)
          .map(({ id, name, value: said, error }) => (
            <span key={id} className={`tag ${error ? "" : "accent"}`} title={error ?? undefined}>
              {name}: {error ? "failed" : value(said).slice(0, 24)}
            </span>
          ))}
      </span>
    ),
  },
  {
    key: "session",
    name: "Session",
    width: 120,
    value: (trace) => trace.session,
    cell: ({ session }, narrow) =>
      session && <Narrow text={session} onClick={() => narrow(`${SESSION} = ${quoted(session)}`)} />,
  },
  {
    key: "user",
    name: "User",
    width: 100,
    value: (trace) => trace.user,
    cell: ({ user }, narrow) => user && <Narrow text={user} onClick={() => narrow(`${USER} = ${quoted(user)}`)} />,
  },
  {
    key: "tags",
    name: "Tags",
    width: 200,
    value: (trace) =>
      Object.entries(trace.tags)
        .filter(([name]) => !name.startsWith("mlflow."))
        .map(([name, said]) => `${name}: ${said}`)
        .join(", "),
  },
];

/** A value that narrows the list to what has it too. */
function Narrow({ text, onClick }: { text: string; onClick: () => void }) {
  return (
    <button
      type="button"
      className="sort"
      style={{ color: "var(--accent-text)" }}
      title={`Only ${text}`}
      onClick={onClick}
    >
      {text}
    </button>
  );
}

/** A trace's line in the export. */
export const exported = (trace: TraceSummary) => [
  trace.id,
  ...COLUMNS.map((column) => (column.key === "started" ? dateTime(trace.started_at) : column.value(trace))),
];
