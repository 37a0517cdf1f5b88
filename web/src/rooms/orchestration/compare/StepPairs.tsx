import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { RunComparison, RunSummary, StepBrief, StepPair } from "../../../api/types.gen";
import { bytes } from "../../../format/bytes";
import { duration } from "../../../format/duration";
import { count } from "../../../format/number";
import { span } from "../../../format/time";
import { Card } from "../../../ui/Card";
import { type Column, DataTable } from "../../../ui/DataTable";
import { Status } from "../../../ui/Status";
import { useNow } from "../../../ui/useNow";
import { costWords } from "../runs/cost";
import { change } from "./change";

const MOMENT = 50;
const MEGABYTE = 1_000_000;

/** How long each step took in both, and what it used. */
export function StepPairs({ view }: { view: RunComparison }) {
  return (
    <Card flush title={undefined}>
      <div className="row" style={{ padding: 10, gap: 24 }}>
        <Side name="This" run={view.a} cost={costWords(view.cost_a)} />
        <Side name="Other" run={view.b} cost={costWords(view.cost_b)} />
      </div>
      <DataTable label="steps of both runs" rows={view.steps} rowKey={(pair) => pair.step} columns={COLUMNS} />
    </Card>
  );
}

function Side({ name, run, cost }: { name: string; run: RunSummary; cost: string }) {
  const now = useNow(run.ended_at === null);
  return (
    <div>
      <strong>{name}</strong>{" "}
      <Link to="/runs/$run" params={{ run: run.id }} className="underlined">
        {run.pipeline} #{run.number}
      </Link>{" "}
      <Status status={run.status} />
      <div className="small muted">
        took {span(run.started_at, run.ended_at, now)}
        {cost && `; ${cost}`}
      </div>
    </div>
  );
}

function pair(
  name: string,
  header: string,
  of: (side: StepBrief) => number | null,
  words: (n: number) => string,
  least = 0,
) {
  const both = (row: StepPair) => [row.a && of(row.a), row.b && of(row.b)] as const;
  const shown = (value: number | null) => (value === null ? "–" : words(value));
  const column: Column<StepPair> = {
    key: name,
    header,
    numeric: true,
    value: (row) => both(row).map(shown).join(" / "),
    cell: (row): ReactNode => {
      const [a, b] = both(row);
      // Of moments and of bytes, shares say nothing.
      const more = Math.max(a ?? 0, b ?? 0) >= least ? change(a, b) : null;
      return (
        <>
          {shown(a)} <span className="muted">/ {shown(b)}</span>
          {more && <span className="small"> {more}</span>}
        </>
      );
    },
  };
  return column;
}

const COLUMNS: Column<StepPair>[] = [
  { key: "step", header: "Step", value: (row) => row.step },
  {
    key: "status",
    header: "This / other",
    value: (row) => `${row.a?.status ?? "–"} / ${row.b?.status ?? "–"}`,
    cell: (row) => (
      <span className="row" style={{ gap: 6, flexWrap: "nowrap" }}>
        {row.a ? <Status status={row.a.status} /> : <span className="muted">no such step</span>}
        {row.a?.status !== row.b?.status && (
          <>
            <span className="muted">/</span>
            {row.b ? <Status status={row.b.status} /> : <span className="muted">no such step</span>}
          </>
        )}
      </span>
    ),
  },
  pair("took_ms", "Took", (side) => side.took_ms, duration, MOMENT),
  pair("queued_ms", "Queued", (side) => side.queued_ms, duration, MOMENT),
  pair("cpu_ms", "CPU", (side) => side.cost.cpu_ms, duration, MOMENT),
  pair("peak_memory_bytes", "Memory", (side) => side.cost.peak_memory_bytes, bytes),
  pair("read_bytes", "Read", (side) => side.cost.read_bytes, bytes, MEGABYTE),
  pair("written_bytes", "Written", (side) => side.cost.written_bytes, bytes, MEGABYTE),
  pair("rows", "Rows", (side) => side.rows, count),
  pair("attempts", "Attempts", (side) => side.attempts, String),
];
