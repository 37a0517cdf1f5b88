import { useQuery } from "@tanstack/react-query";
import { alertsQuery, monitorsQuery } from "../../rooms/monitoring/queries";
import { endpointsQuery } from "../../rooms/deployment/queries";
import { isOver, pipelinesQuery, runsQuery } from "../../rooms/orchestration/queries";
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
  return (
    <>
      <PageHead title={workspace.data?.name ?? "Workspace"} about={workspace.data?.path} />
      <Attention runs={runs.data?.runs ?? []} alerts={alerts.data ?? []} ready={runs.isSuccess} />
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
