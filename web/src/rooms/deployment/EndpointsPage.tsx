import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { duration } from "../../format/duration";
import { count, percent } from "../../format/number";
import { Answer } from "../../ui/Answer";
import { Card } from "../../ui/Card";
import { DataTable } from "../../ui/DataTable";
import { Empty } from "../../ui/Empty";
import { PageHead } from "../../ui/PageHead";
import { Status } from "../../ui/Status";
import { endpointsQuery } from "./queries";

export function EndpointsPage() {
  const endpoints = useQuery(endpointsQuery());
  return (
    <>
      <PageHead title="Endpoints" about="Stable addresses with model versions behind them." />
      <Card flush>
        <Answer query={endpoints}>
          {(found) =>
            found.length === 0 ? (
              <Empty
                what="No endpoint yet. A `deploy` step or a file under endpoints/ makes one:"
                command="millrace explain deploy"
              />
            ) : (
              <DataTable
                label="endpoints"
                rows={found}
                rowKey={(endpoint) => endpoint.name}
                columns={[
                  {
                    key: "name",
                    header: "Name",
                    value: (endpoint) => endpoint.name,
                    cell: (endpoint) => (
                      <Link to="/endpoints/$name" params={{ name: endpoint.name }}>
                        {endpoint.name}
                      </Link>
                    ),
                  },
                  {
                    key: "status",
                    header: "Status",
                    value: (endpoint) => endpoint.status,
                    cell: (endpoint) => <Status status={endpoint.status} />,
                  },
                  {
                    key: "models",
                    header: "Models",
                    value: (endpoint) =>
                      endpoint.deployments
                        .map((entry) => `${entry.model}@${entry.version} ${entry.traffic} %`)
                        .join(", "),
                  },
                  { key: "requests", header: "Requests", numeric: true, value: (endpoint) => count(endpoint.requests) },
                  {
                    key: "errors",
                    header: "Errors",
                    numeric: true,
                    value: (endpoint) => percent(endpoint.requests ? endpoint.errors / endpoint.requests : 0),
                  },
                  { key: "p50", header: "p50", numeric: true, value: (endpoint) => duration(endpoint.p50_ms) },
                  { key: "p99", header: "p99", numeric: true, value: (endpoint) => duration(endpoint.p99_ms) },
                ]}
              />
            )
          }
        </Answer>
      </Card>
    </>
  );
}
