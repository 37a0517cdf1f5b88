import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { address } from "../../../api/client";
import { PageHead } from "../../../ui/PageHead";
import { Source } from "../../../ui/Source";
import { experimentsQuery } from "../queries";
import type { TracesSearch } from "../search";
import { TraceList } from "./TraceList";

export function TracesPage() {
  const search = useSearch({ from: "/traces" });
  const navigate = useNavigate({ from: "/traces" });
  const experiments = useQuery(experimentsQuery());
  const set = (change: TracesSearch) =>
    void navigate({ search: (before) => ({ ...before, ...change }), replace: true, resetScroll: false });
  const url = `${window.location.origin}${address("/api/traces", { ...search })}`;
  return (
    <>
      <PageHead
        title="Traces"
        about="What programs asked of models and tools, step by step."
        actions={
          <label className="row small">
            experiment
            <select
              className="input"
              style={{ maxWidth: 260 }}
              value={search.experiment ?? ""}
              onChange={(event) => set({ experiment: event.target.value || undefined })}
            >
              <option value="">all</option>
              {experiments.data?.map(({ id, name }) => (
                <option key={id} value={id}>
                  {name}
                </option>
              ))}
            </select>
          </label>
        }
      />
      <TraceList search={search} onChange={set} />
      <Source cli={`curl -s '${url.replaceAll("'", "%27")}'`} />
    </>
  );
}
