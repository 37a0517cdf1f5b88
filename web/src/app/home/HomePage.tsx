import { useQuery } from "@tanstack/react-query";
import { alertsQuery, monitorsQuery } from "../../rooms/monitoring/queries";
import { endpointsQuery } from "../../rooms/deployment/queries";
import { inboxQuery } from "../../rooms/orchestration/events/queries";
import { approvalsQuery, isOver, pipelinesQuery, runsQuery, triggersQuery } from "../../rooms/orchestration/queries";
import { RunTable } from "../../rooms/orchestration/runs/RunTable";
import { modelsQuery } from "../../rooms/tracking/queries";
import { Answer } from "../../ui/Answer";
import { Card } from "../../ui/Card";
import { PageHead } from "../../ui/PageHead";
import { workspaceQuery } from "../queries";
import { Attention } from "./Attention";
import { Models } from "./Models";
import { Services } from "./Services";
import { StartHere } from "./StartHere";
import { Drift } from "./Drift";

/** What runs now, what needs me, and where to start. */
export function HomePage() {
  const workspace = useQuery(workspaceQuery());
  const runs = useQuery(runsQuery({ limit: 12 }));
  const pipelines = useQuery(pipelinesQuery());
  const endpoints = useQuery(endpointsQuery());
  const models = useQuery(modelsQuery());
  const monitors = useQuery(monitorsQuery());
  const alerts = useQuery(alertsQuery());
  const triggers = useQuery(triggersQuery());
  const inbox = useQuery(inboxQuery({ status: "dead" }));
  const approvals = useQuery(approvalsQuery({ state: "waiting", limit: 1 }));
  return (
    <>
      <PageHead title={workspace.data?.name ?? "Workspace"} about={workspace.data?.path} />
      <Attention
        // Of the newest runs of all, a pipeline that runs often leaves none of the others.
        runs={(pipelines.data ?? []).flatMap((pipeline) => pipeline.recent_runs)}
        alerts={alerts.data ?? []}
        triggers={triggers.data ?? []}
        dead={inbox.data?.counts.find(({ status }) => status === "dead")?.events ?? 0}
        waiting={approvals.data?.waiting ?? 0}
        ready={pipelines.isSuccess && triggers.isSuccess}
      />
      <Answer query={runs} rows={8}>
        {({ runs: found }) => {
          const active = found.filter((run) => !isOver(run.status));
          return (
            <>
              {active.length > 0 && (
                <Card title="Running now" flush>
                  <RunTable runs={active} label="running now" />
                </Card>
              )}
              <Card title="Recent runs" flush>
                <RunTable runs={found.filter((run) => isOver(run.status)).slice(0, 8)} hint="millrace demo" />
              </Card>
            </>
          );
        }}
      </Answer>
      <div className="cards">
        <Card title="Endpoints">
          <Answer query={endpoints}>{(found) => <Services endpoints={found} />}</Answer>
        </Card>
        <Card title="Models">
          <Answer query={models}>{(found) => <Models models={found} />}</Answer>
        </Card>
        <Card title="Drift">
          <Answer query={monitors}>{(found) => <Drift monitors={found} />}</Answer>
        </Card>
      </div>
      <StartHere
        run={runs.data?.runs.find((run) => run.status === "succeeded")?.id}
        pipeline={pipelines.data?.[0]?.name}
        endpoint={endpoints.data?.[0]?.name}
        monitor={monitors.data?.[0]?.name}
      />
    </>
  );
}
