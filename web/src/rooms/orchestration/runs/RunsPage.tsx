import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { plural } from "../../../format/number";
import { Answer } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { PageHead } from "../../../ui/PageHead";
import { pipelinesQuery, runsQuery } from "../queries";
import { RunTable } from "./RunTable";

const STATUSES = ["running", "queued", "failed", "succeeded", "cancelled"];

export function RunsPage() {
  const search = useSearch({ from: "/runs" });
  const navigate = useNavigate({ from: "/runs" });
  const runs = useQuery(runsQuery({ ...search, limit: 50 }));
  const pipelines = useQuery(pipelinesQuery());
  const set = (change: typeof search) => void navigate({ search: { ...search, after: undefined, ...change } });
  return (
    <>
      <PageHead title="Runs" about="Executions of pipelines, newest first." />
      <div className="row">
        <label className="row">
          Pipeline
          <select
            className="input"
            value={search.pipeline ?? ""}
            onChange={(event) => set({ pipeline: event.target.value || undefined })}
          >
            <option value="">all</option>
            {(pipelines.data ?? []).map((pipeline) => (
              <option key={pipeline.name}>{pipeline.name}</option>
            ))}
          </select>
        </label>
        <div className="row" role="group" aria-label="status" style={{ gap: 4 }}>
          <button
            type="button"
            className="button"
            aria-pressed={!search.status}
            onClick={() => set({ status: undefined })}
          >
            any
          </button>
          {STATUSES.map((status) => (
            <button
              key={status}
              type="button"
              className="button"
              aria-pressed={search.status === status}
              onClick={() => set({ status })}
            >
              {status}
            </button>
          ))}
        </div>
        {runs.data && (
          <span className="muted">
            {plural(runs.data.total, "run")}
            {runs.data.next ? " on this page" : ""}
          </span>
        )}
      </div>
      <Card flush>
        <Answer query={runs} rows={8}>
          {(page) => (
            <RunTable
              runs={page.runs}
              hint={search.pipeline ? `millrace run ${search.pipeline}` : "millrace run flights"}
            />
          )}
        </Answer>
      </Card>
      <div className="row">
        {search.after && (
          <button type="button" className="button" onClick={() => set({ after: undefined })}>
            Newest
          </button>
        )}
        {runs.data?.next && (
          <button type="button" className="button" onClick={() => set({ after: runs.data.next ?? undefined })}>
            Older
          </button>
        )}
      </div>
    </>
  );
}
