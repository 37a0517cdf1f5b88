import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { LoggedModelView, TrackedRun } from "../../../api/types.gen";
import { number } from "../../../format/number";
import { Card } from "../../../ui/Card";
import { Facts } from "../../../ui/Facts";
import { Markdown } from "../../../ui/markdown/Markdown";
import { Status } from "../../../ui/Status";
import { modelsOfRunQuery } from "../queries";

const NOTE = "mlflow.note.content";
/** Tags that only software reads. */
const NOISE = /^mlflow\.(log-model|loggedArtifacts|note\.content|runName)/;

/** What a run logged, in words and numbers. */
export function RunOverview({ run, metrics }: { run: TrackedRun; metrics: readonly string[] }) {
  const models = useQuery(modelsOfRunQuery(run.id));
  const tags = Object.entries(run.tags).filter(([name]) => !NOISE.test(name));
  const note = run.tags[NOTE];
  return (
    <>
      {note && (
        <Card title="Note">
          <Markdown text={note} />
        </Card>
      )}
      <div className="cards">
        <Card title="Metrics">
          <Facts facts={metrics.map((name) => [name, number(run.metrics[name])])} />
          {metrics.length === 0 && <p className="muted">No metric logged.</p>}
        </Card>
        <Card title="Parameters">
          <Facts facts={Object.entries(run.params)} />
          {Object.keys(run.params).length === 0 && <p className="muted">No parameter logged.</p>}
        </Card>
        <Card title="Tags">
          <Facts facts={tags} />
          {tags.length === 0 && <p className="muted">No tag.</p>}
        </Card>
        {models.data && models.data.length > 0 && (
          <Card title="Models">
            <ul className="plain">{models.data.map(modelLink)}</ul>
          </Card>
        )}
      </div>
    </>
  );
}

function modelLink(model: LoggedModelView) {
  return (
    <li key={model.id} className="row">
      <Link to="/logged-models/$model" params={{ model: model.id }}>
        {model.name}
      </Link>
      <Status status={model.status} />
    </li>
  );
}
