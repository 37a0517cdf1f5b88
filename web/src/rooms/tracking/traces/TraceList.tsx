import type { TraceSummary } from "../../../api/types.gen";
import { csv } from "../../../format/csv";
import { count } from "../../../format/number";
import { explain } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { Empty } from "../../../ui/Empty";
import { Failure } from "../../../ui/Failure";
import { Loading } from "../../../ui/Loading";
import { save } from "../../../ui/save";
import { FilterField } from "../experiments/FilterField";
import type { TracesSearch } from "../search";
import { withClause } from "./clause";
import { COLUMNS, exported } from "./columns";
import { TraceGrid } from "./TraceGrid";
import { useTraces } from "./useTraces";

interface TraceListProps {
  search: TracesSearch;
  onChange: (change: TracesSearch) => void;
  /** A condition that always holds here. */
  always?: string;
}

const EXAMPLE = "status = 'ERROR' AND execution_time_ms > 1000 AND span.name LIKE 'chat%'";
const STATES = ["OK", "ERROR", "IN_PROGRESS"];

/** Traces that fulfil a filter, which the server reads. */
export function TraceList({ search, onChange, always }: TraceListProps) {
  const { experiment, filter, sort } = search;
  const whole = always && filter ? `${always} AND ${filter}` : (always ?? filter);
  const traces = useTraces({ experiment, filter: whole, sort });
  const asked = Boolean(filter || sort);
  const { rows, more } = traces;
  const state = STATES.find((word) => filter === `status = '${word}'`) ?? "";
  return (
    <Card
      title={<span aria-live="polite">{rows ? `${count(rows.length)}${more.has ? "+" : ""} traces` : "Traces"}</span>}
      actions={
        <>
          <label className="row small">
            status
            <select
              className="input"
              value={state}
              onChange={(event) =>
                onChange({ filter: event.target.value ? `status = '${event.target.value}'` : undefined })
              }
            >
              <option value="">any</option>
              {STATES.map((word) => (
                <option key={word} value={word}>
                  {word.toLowerCase().replace("_", " ")}
                </option>
              ))}
            </select>
          </label>
          <button type="button" className="button" disabled={!rows?.length} onClick={() => download(rows ?? [])}>
            Export CSV
          </button>
        </>
      }
    >
      <div className="runs">
        <FilterField
          what="traces"
          filter={filter ?? ""}
          example={EXAMPLE}
          error={asked || rows ? traces.error : null}
          old={traces.old}
          onFilter={(next) => onChange({ filter: next || undefined })}
        />
        {!rows && !traces.error && <Loading rows={8} />}
        {!rows && Boolean(traces.error) && !asked && <Failure problem={explain(traces.error)} retry={traces.retry} />}
        {rows?.length === 0 && (asked ? <p className="muted empty">No trace matches the filter.</p> : <NoTraces />)}
        {rows !== undefined && rows.length > 0 && (
          <>
            <TraceGrid
              traces={traces}
              sort={sort}
              onSort={(next) => onChange({ sort: next })}
              onNarrow={(clause) => onChange({ filter: withClause(filter, clause) })}
            />
            <div className="row spread run-foot small">
              <span className="muted">
                {count(rows.length)} read
                {more.loading ? ", reading on…" : more.has && !more.failed ? ", more as you scroll" : ""}
              </span>
              {more.failed && (
                <span className="row wrong" role="alert">
                  The next page did not come.
                  <button type="button" className="button" onClick={more.read}>
                    Try again
                  </button>
                </span>
              )}
            </div>
          </>
        )}
      </div>
    </Card>
  );
}

function NoTraces() {
  const { origin } = window.location;
  return (
    <Empty
      what="No trace here yet. A function under `@mlflow.trace` leaves one for each call; programs that use OpenTelemetry send theirs to /v1/traces."
      command={`MLFLOW_TRACKING_URI=${origin} python -c "import mlflow; mlflow.trace(lambda question: 'yes')('is it on?')"`}
    />
  );
}

function download(rows: readonly TraceSummary[]) {
  save("traces.csv", csv(["id", ...COLUMNS.map(({ key }) => key)], rows.map(exported)), "text/csv");
}
