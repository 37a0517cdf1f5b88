import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import type { LoggedModelView } from "../../../api/types.gen";
import { number } from "../../../format/number";
import { Ago } from "../../../ui/Ago";
import { Answer } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { DataTable } from "../../../ui/DataTable";
import { Facts } from "../../../ui/Facts";
import { PageHead } from "../../../ui/PageHead";
import { Source } from "../../../ui/Source";
import { Status } from "../../../ui/Status";
import { ArtifactBrowser } from "../artifacts/ArtifactBrowser";
import { loggedModelQuery } from "../queries";
import { Tags } from "../Tags";

export function LoggedModelPage() {
  const { model } = useParams({ from: "/logged-models/$model" });
  const query = useQuery(loggedModelQuery(model));
  return <Answer query={query}>{(found) => <LoggedModelBody key={found.id} model={found} />}</Answer>;
}

/** A model that a run saved: what it is, what was measured, its files. */
function LoggedModelBody({ model }: { model: LoggedModelView }) {
  const { file } = useSearch({ from: "/logged-models/$model" });
  const navigate = useNavigate({ from: "/logged-models/$model" });
  return (
    <>
      <PageHead
        title={model.name}
        status={<Status status={model.status} />}
        about={
          <>
            {model.model_type ?? "model"}, saved <Ago at={model.created_at} />
          </>
        }
        actions={
          <>
            {model.run_id && (
              <Link to="/tracked/$run" params={{ run: model.run_id }} className="button">
                Run
              </Link>
            )}
            <Link to="/experiments/$experiment" params={{ experiment: model.experiment_id }} className="button">
              Experiment
            </Link>
          </>
        }
      />
      <Tags tags={model.tags} />
      {(model.metrics.length > 0 || Object.keys(model.params).length > 0) && (
        <div className="halves">
          <Card title="Metrics" flush>
            {model.metrics.length === 0 ? (
              <p className="muted empty">Nothing was measured of it.</p>
            ) : (
              <DataTable
                label={`metrics of ${model.name}`}
                rows={model.metrics}
                rowKey={(metric) => `${metric.name} ${metric.dataset} ${metric.run_id}`}
                columns={[
                  { key: "name", header: "Metric", value: (metric) => metric.name },
                  {
                    key: "value",
                    header: "Value",
                    numeric: true,
                    value: (metric) => metric.value,
                    cell: (metric) => number(metric.value),
                  },
                  { key: "dataset", header: "On", value: (metric) => metric.dataset },
                  { key: "step", header: "Step", numeric: true, value: (metric) => metric.step },
                ]}
              />
            )}
          </Card>
          <Card title="Parameters">
            <Facts facts={Object.entries(model.params)} />
            {Object.keys(model.params).length === 0 && <p className="muted">No parameter logged.</p>}
          </Card>
        </div>
      )}
      <ArtifactBrowser
        uri={model.artifact_uri}
        file={file}
        onFile={(next) => void navigate({ search: { file: next || undefined }, replace: true, resetScroll: false })}
        title="Files"
      />
      <Source cli={`python -c "import mlflow; mlflow.pyfunc.load_model('models:/${model.id}')"`} json={model} />
    </>
  );
}
