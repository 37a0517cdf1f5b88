import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import type { PipelineView } from "../../../api/types.gen";
import { Ago } from "../../../ui/Ago";
import { Answer } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { CodeView } from "../../../ui/CodeView";
import { Failure } from "../../../ui/Failure";
import { PageHead } from "../../../ui/PageHead";
import { Source } from "../../../ui/Source";
import { Status } from "../../../ui/Status";
import { Tabs } from "../../../ui/Tabs";
import { pipelineQuery } from "../queries";
import { RunTable } from "../runs/RunTable";
import type { PipelineTab } from "../search";
import { PipelineGraph } from "./PipelineGraph";
import { RunForm } from "./RunForm";

export function PipelinePage() {
  const { name } = useParams({ from: "/pipelines/$name" });
  const pipeline = useQuery(pipelineQuery(name));
  return <Answer query={pipeline}>{(found) => <PipelineBody pipeline={found} />}</Answer>;
}

const TABS: { key: PipelineTab; label: string }[] = [
  { key: "graph", label: "Graph" },
  { key: "run", label: "Run" },
  { key: "yaml", label: "YAML" },
  { key: "runs", label: "Runs" },
];

function PipelineBody({ pipeline }: { pipeline: PipelineView }) {
  const { tab = "graph" } = useSearch({ from: "/pipelines/$name" });
  const navigate = useNavigate({ from: "/pipelines/$name" });
  const open = (next: PipelineTab) => void navigate({ search: { tab: next }, replace: true });
  const last = pipeline.recent_runs[0];
  return (
    <>
      <PageHead
        title={pipeline.name}
        status={last && <Status status={last.status} />}
        about={pipeline.description ?? pipeline.file}
        actions={
          <button type="button" className="button primary" onClick={() => open("run")}>
            Run…
          </button>
        }
      />
      {pipeline.triggers.length > 0 && (
        <p className="row small">
          {pipeline.triggers.map((trigger) => (
            <span key={trigger.name} className="tag">
              {trigger.name}: {trigger.description} {trigger.next_firing && <Ago at={trigger.next_firing} />}
            </span>
          ))}
          {pipeline.triggers.some((trigger) => trigger.kind === "window") && (
            <Link to="/pipelines/$name/windows" params={{ name: pipeline.name }}>
              Windows
            </Link>
          )}
        </p>
      )}
      {pipeline.problems.map((problem) => (
        <Failure key={`${problem.code}${problem.message}`} problem={problem} />
      ))}
      <Tabs tabs={TABS} value={tab} onChange={open} label="parts of the pipeline">
        {tab === "graph" && (
          <Card flush>
            <PipelineGraph pipeline={pipeline} />
          </Card>
        )}
        {tab === "run" && (
          <Card title="Start a run">
            <RunForm pipeline={pipeline} />
          </Card>
        )}
        {tab === "yaml" && (
          <Card title={pipeline.file} flush>
            <CodeView text={pipeline.yaml} language="yaml" label={`YAML of ${pipeline.name}`} marks={marks(pipeline)} />
          </Card>
        )}
        {tab === "runs" && (
          <Card flush>
            <RunTable runs={pipeline.recent_runs} />
          </Card>
        )}
      </Tabs>
      <Source cli={pipeline.command} yaml={pipeline.yaml} />
    </>
  );
}

function marks({ problems, file }: PipelineView) {
  return problems.flatMap(({ place, message, severity }) =>
    place && place.file === file
      ? [{ line: place.line, column: place.column, length: place.length, message, severity }]
      : [],
  );
}
