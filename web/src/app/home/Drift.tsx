import { Link } from "@tanstack/react-router";
import type { MonitorSummary } from "../../api/types.gen";
import { Empty } from "../../ui/Empty";
import { Status } from "../../ui/Status";

/** Monitors and whether their data has moved. */
export function Drift({ monitors }: { monitors: MonitorSummary[] }) {
  if (monitors.length === 0) return <Empty what="Nothing is monitored yet." command="millrace explain monitor" />;
  return (
    <ul className="plain">
      {monitors.map((monitor) => (
        <li key={monitor.name} className="row spread">
          <Link to="/monitoring/$name" params={{ name: monitor.name }}>
            {monitor.name}
          </Link>
          <span className="row">
            <span className="muted small">
              {monitor.drifted_columns} of {monitor.columns} columns
            </span>
            <Status status={monitor.drifted ? "drifted" : "stable"} />
          </span>
        </li>
      ))}
    </ul>
  );
}
