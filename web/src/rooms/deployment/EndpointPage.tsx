import { useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import type { EndpointView } from "../../api/types.gen";
import { Answer } from "../../ui/Answer";
import { Card } from "../../ui/Card";
import { Command } from "../../ui/Command";
import { PageHead } from "../../ui/PageHead";
import { Source } from "../../ui/Source";
import { Status } from "../../ui/Status";
import { addressHere } from "./calls";
import { Deployments } from "./Deployments";
import { EndpointCharts } from "./EndpointCharts";
import { endpointQuery } from "./queries";
import { Snippets } from "./Snippets";
import { TryIt } from "./TryIt";

export function EndpointPage() {
  const { name } = useParams({ from: "/endpoints/$name" });
  const endpoint = useQuery(endpointQuery(name));
  return <Answer query={endpoint}>{(found) => <EndpointBody view={found} />}</Answer>;
}

function EndpointBody({ view }: { view: EndpointView }) {
  const { endpoint, example } = view;
  const url = addressHere(endpoint.url);
  return (
    <>
      <PageHead
        title={endpoint.name}
        status={
          <span aria-live="polite">
            <Status status={endpoint.status} />
          </span>
        }
      />
      <Command line={url} />
      <Card title="Deployments" flush>
        <Deployments deployments={endpoint.deployments} />
      </Card>
      <div className="halves">
        <Card title="Try it">
          <TryIt key={endpoint.name} view={view} />
        </Card>
        <Card title="Call it">
          <Snippets url={url} example={example ?? {}} />
        </Card>
      </div>
      <EndpointCharts history={view.history} />
      <Source cli={view.command} yaml={view.yaml} json={view} />
    </>
  );
}
