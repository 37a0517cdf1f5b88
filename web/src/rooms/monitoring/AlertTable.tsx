import type { AlertView } from "../../api/types.gen";
import { number } from "../../format/number";
import { dateTime } from "../../format/time";
import { RunStrip } from "../../charts/strip/RunStrip";
import { Ago } from "../../ui/Ago";
import { DataTable } from "../../ui/DataTable";
import { Empty } from "../../ui/Empty";
import { Status } from "../../ui/Status";

/** Alert rules with their state and how it changed. */
export function AlertTable({ alerts }: { alerts: AlertView[] }) {
  if (alerts.length === 0) {
    return <Empty what="No alert rule yet. Rules stand in monitors/*.yaml:" command="millrace explain monitor" />;
  }
  return (
    <DataTable
      label="alert rules"
      rows={alerts}
      rowKey={(alert) => alert.name}
      columns={[
        {
          key: "state",
          header: "State",
          value: (alert) => alert.state,
          cell: (alert) => <Status status={alert.state} />,
        },
        { key: "name", header: "Rule", value: (alert) => alert.name },
        {
          key: "when",
          header: "When",
          value: (alert) => alert.expression,
          cell: (alert) => <code>{alert.expression}</code>,
        },
        { key: "value", header: "Value", numeric: true, value: (alert) => number(alert.value) },
        { key: "since", header: "Since", value: (alert) => alert.since, cell: (alert) => <Ago at={alert.since} /> },
        { key: "channels", header: "Tells", value: (alert) => alert.channels.join(", ") },
        {
          key: "history",
          header: "History",
          value: (alert) => alert.history.length,
          cell: (alert) => (
            <RunStrip
              runs={alert.history.slice(-20).map((entry, index) => ({
                id: `${entry.at}${index}`,
                status: entry.state,
                label: `${dateTime(entry.at)}, ${number(entry.value)}`,
              }))}
            />
          ),
        },
      ]}
    />
  );
}
