import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Ago } from "../../ui/Ago";
import { Answer } from "../../ui/Answer";
import { Card } from "../../ui/Card";
import { DataTable } from "../../ui/DataTable";
import { Empty } from "../../ui/Empty";
import { PageHead } from "../../ui/PageHead";
import { Status } from "../../ui/Status";
import { AlertTable } from "./AlertTable";
import { alertsQuery, monitorsQuery } from "./queries";

export function MonitoringPage() {
  const monitors = useQuery(monitorsQuery());
  const alerts = useQuery(alertsQuery());
  return (
    <>
      <PageHead
        title="Monitoring"
        about="Whether the data still looks like the data that the models were trained on, and who is told."
      />
      <Card title="Monitors" flush>
        <Answer query={monitors}>
          {(found) =>
            found.length === 0 ? (
              <Empty
                what="No monitor has run yet. A `monitor` step compares two datasets:"
                command="millrace explain monitor"
              />
            ) : (
              <DataTable
                label="monitors"
                rows={found}
                rowKey={(monitor) => monitor.name}
                columns={[
                  {
                    key: "name",
                    header: "Name",
                    value: (monitor) => monitor.name,
                    cell: (monitor) => (
                      <Link to="/monitoring/$name" params={{ name: monitor.name }}>
                        {monitor.name}
                      </Link>
                    ),
                  },
                  {
                    key: "state",
                    header: "State",
                    value: (monitor) => (monitor.drifted ? "drifted" : "stable"),
                    cell: (monitor) => (
                      <Status status={monitor.last_run_at ? (monitor.drifted ? "drifted" : "stable") : "never"} />
                    ),
                  },
                  {
                    key: "columns",
                    header: "Drifted columns",
                    numeric: true,
                    value: (monitor) => `${monitor.drifted_columns} of ${monitor.columns}`,
                  },
                  { key: "reference", header: "Reference", value: (monitor) => monitor.reference },
                  { key: "current", header: "Current", value: (monitor) => monitor.current },
                  {
                    key: "last",
                    header: "Last",
                    value: (monitor) => monitor.last_run_at,
                    cell: (monitor) => <Ago at={monitor.last_run_at} />,
                  },
                ]}
              />
            )
          }
        </Answer>
      </Card>
      <Card title="Alert rules" flush>
        <Answer query={alerts}>{(found) => <AlertTable alerts={found} />}</Answer>
      </Card>
    </>
  );
}
