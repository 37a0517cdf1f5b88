import type { TrackedRun } from "../../../api/types.gen";
import { csv } from "../../../format/csv";
import { count } from "../../../format/number";
import { save } from "../../../ui/save";
import { cellOf, type RunColumn } from "./columns";
import type { Runs } from "./useRuns";

interface RunsFootProps {
  runs: Runs;
  columns: RunColumn[];
  selected: ReadonlySet<string>;
}

/** How much of the table has been read, and the way to a file. */
export function RunsFoot({ runs, columns, selected }: RunsFootProps) {
  const { rows = [], total, more } = runs;
  const chosen = rows.filter((run) => selected.has(run.id));
  const kept = chosen.length > 0 ? chosen : rows;
  return (
    <div className="row spread run-foot small">
      <span className="muted">
        {count(rows.length)} of {count(total)} read
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
      <button type="button" className="button quiet small" onClick={() => download(kept, columns)}>
        Export {chosen.length > 0 ? `${count(chosen.length)} selected` : count(rows.length)} as CSV
      </button>
    </div>
  );
}

function download(rows: readonly TrackedRun[], columns: RunColumn[]) {
  const names = ["id", "name", "status", "start_time", "end_time", ...columns.map((column) => column.key)];
  const lines = rows.map((run) => [
    run.id,
    run.name,
    run.status,
    run.start_time,
    run.end_time,
    ...columns.map((column) => cellOf(run, column)),
  ]);
  save("runs.csv", csv(names, lines), "text/csv");
}
