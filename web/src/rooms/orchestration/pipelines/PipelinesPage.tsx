import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import type { PipelineSummary, TriggerStatusView } from "../../../api/types.gen";
import { RunStrip } from "../../../charts/strip/RunStrip";
import { dateTime } from "../../../format/time";
import { plural } from "../../../format/number";
import { Ago } from "../../../ui/Ago";
import { Answer } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { DataTable } from "../../../ui/DataTable";
import { Empty } from "../../../ui/Empty";
import { PageHead } from "../../../ui/PageHead";
import { Status } from "../../../ui/Status";
import { pipelinesQuery, triggersQuery } from "../queries";
import { triggerState } from "../triggers/triggerState";

export function PipelinesPage() {
  const pipelines = useQuery(pipelinesQuery());
  return (
    <>
      <PageHead title="Pipelines" about="Graphs of steps, one file each under pipelines/." />
      <Card flush>
        <Answer query={pipelines}>
          {(found) =>
            found.length === 0 ? (
              <Empty what="No pipeline yet. This makes a workspace with a working one:" command="millrace demo" />
            ) : (
              <PipelineTable pipelines={found} />
            )
          }
        </Answer>
      </Card>
    </>
  );
}

function PipelineTable({ pipelines }: { pipelines: PipelineSummary[] }) {
  const navigate = useNavigate();
  const triggers = useQuery(triggersQuery()).data ?? [];
  return (
    <DataTable
      label="pipelines"
      rows={pipelines}
      rowKey={(pipeline) => pipeline.name}
      columns={[
        {
          key: "name",
          header: "Name",
          value: (pipeline) => pipeline.name,
          cell: (pipeline) => (
            <Link to="/pipelines/$name" params={{ name: pipeline.name }}>
              {pipeline.name}
            </Link>
          ),
        },
        { key: "description", header: "About", value: (pipeline) => pipeline.description },
        {
          key: "runs",
          header: "Last runs",
          value: (pipeline) => pipeline.recent_runs.map((run) => run.status).join(" "),
          cell: (pipeline) => (
            <RunStrip
              runs={pipeline.recent_runs
                .slice(0, 20)
                .toReversed()
                .map((run) => ({ id: run.id, status: run.status, label: dateTime(run.created_at) }))}
              onOpen={(run) => void navigate({ to: "/runs/$run", params: { run } })}
            />
          ),
        },
        {
          key: "last",
          header: "Last",
          value: (pipeline) => pipeline.recent_runs[0]?.status,
          cell: ({ recent_runs: [last] }) => <Status status={last?.status ?? "never"} />,
        },
        {
          key: "next",
          header: "Next firing",
          value: (pipeline) => pipeline.next_firing,
          cell: (pipeline) =>
            pipeline.next_firing ? (
              <Ago at={pipeline.next_firing} />
            ) : (
              <span className="muted">
                {otherwise(triggers.filter((trigger) => trigger.pipeline === pipeline.name))}
              </span>
            ),
        },
        { key: "steps", header: "Steps", numeric: true, value: (pipeline) => pipeline.steps },
        {
          key: "problems",
          header: "Check",
          value: (pipeline) => pipeline.problems.length,
          cell: (pipeline) =>
            pipeline.problems.length === 0 ? (
              <Status status="ok" />
            ) : (
              <span className="tone-bad tag">{plural(pipeline.problems.length, "problem")}</span>
            ),
        },
      ]}
    />
  );
}

/** What starts a pipeline that no schedule does. */
function otherwise(triggers: TriggerStatusView[]): string {
  const states = triggers.map(triggerState);
  if (states.includes("listening")) return "when it happens";
  return states.includes("paused") ? "paused" : "by hand";
}
