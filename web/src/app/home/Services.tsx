import { Link } from "@tanstack/react-router";
import type { EndpointSummary } from "../../api/types.gen";
import { duration } from "../../format/duration";
import { plural } from "../../format/number";
import { Empty } from "../../ui/Empty";
import { Status } from "../../ui/Status";

/** Endpoints and their health. */
export function Services({ endpoints }: { endpoints: EndpointSummary[] }) {
  if (endpoints.length === 0) return <Empty what="No endpoint yet." command="millrace explain deploy" />;
  return (
    <ul className="plain">
      {endpoints.map((endpoint) => (
        <li key={endpoint.name} className="row spread">
          <Link to="/endpoints/$name" params={{ name: endpoint.name }}>
            {endpoint.name}
          </Link>
          <span className="row">
            <span className="muted small">
              {plural(endpoint.requests, "request")}, p50 {duration(endpoint.p50_ms)}
            </span>
            <Status status={endpoint.status} />
          </span>
        </li>
      ))}
    </ul>
  );
}
