import { Link } from "@tanstack/react-router";
import type { DeploymentView } from "../../api/types.gen";
import { duration } from "../../format/duration";
import { count } from "../../format/number";
import { DataTable } from "../../ui/DataTable";
import { Status } from "../../ui/Status";

/** Which model versions answer, and with how much of the traffic. */
export function Deployments({ deployments }: { deployments: DeploymentView[] }) {
  return (
    <DataTable
      label="deployments"
      rows={deployments}
      rowKey={(deployment) => deployment.name}
      exportable={false}
      columns={[
        { key: "name", header: "Deployment", value: (deployment) => deployment.name },
        {
          key: "model",
          header: "Model",
          value: (deployment) => deployment.model,
          cell: (deployment) => (
            <Link to="/models/$name" params={{ name: deployment.model }} search={{ version: deployment.version }}>
              {deployment.model}@{deployment.version}
            </Link>
          ),
        },
        {
          key: "traffic",
          header: "Traffic",
          value: (deployment) => deployment.traffic,
          cell: (deployment) => (
            <span className="row" style={{ flexWrap: "nowrap" }}>
              <span style={{ width: 90, height: 8, background: "var(--line)", borderRadius: 2 }}>
                <span
                  style={{
                    display: "block",
                    width: `${deployment.traffic}%`,
                    height: 8,
                    background: "var(--accent)",
                    borderRadius: 2,
                  }}
                />
              </span>
              {deployment.traffic} %
            </span>
          ),
        },
        {
          key: "status",
          header: "Status",
          value: (deployment) => deployment.status,
          cell: (deployment) => <Status status={deployment.status} />,
        },
        { key: "requests", header: "Requests", numeric: true, value: (deployment) => count(deployment.requests) },
        { key: "errors", header: "Errors", numeric: true, value: (deployment) => count(deployment.errors) },
        { key: "p50", header: "p50", numeric: true, value: (deployment) => duration(deployment.p50_ms) },
        { key: "p95", header: "p95", numeric: true, value: (deployment) => duration(deployment.p95_ms) },
        { key: "p99", header: "p99", numeric: true, value: (deployment) => duration(deployment.p99_ms) },
      ]}
    />
  );
}
