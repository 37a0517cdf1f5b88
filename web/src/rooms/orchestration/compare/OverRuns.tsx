import { useNavigate, useSearch } from "@tanstack/react-router";
import type { RunSummary } from "../../../api/types.gen";
import { short } from "../../../format/id";
import { dateTime } from "../../../format/time";
import { statusLook } from "../../../ui/statusLook";

/** Which run is compared with. */
export function OverRuns({ runs, value }: { runs: RunSummary[]; value: string | undefined }) {
  const search = useSearch({ from: "/runs/$run/compare" });
  const navigate = useNavigate({ from: "/runs/$run/compare" });
  const known = runs.some((run) => run.id === value);
  return (
    <label className="row">
      with
      <select
        className="input"
        value={value ?? ""}
        onChange={(event) => void navigate({ search: { ...search, with: event.target.value || undefined } })}
      >
        {!value && <option value="">another run</option>}
        {value && !known && <option value={value}>{short(value)}</option>}
        {runs.map((run) => (
          <option key={run.id} value={run.id}>
            #{run.number} {statusLook(run.status).word}, {dateTime(run.created_at)}
          </option>
        ))}
      </select>
    </label>
  );
}
