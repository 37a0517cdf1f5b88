import { useQuery } from "@tanstack/react-query";
import { Link, useRouterState } from "@tanstack/react-router";
import { short } from "../format/id";
import { experimentsQuery } from "../rooms/tracking/queries";

const NAMES: Record<string, string> = {
  tracked: "Experiments",
  "logged-models": "Models",
  sql: "SQL",
  "sql-models": "SQL models",
  "": "Home",
};
/** Where the list is of what a page shows, if not under the page's own first word. */
const LISTS: Record<string, string> = { tracked: "experiments", "logged-models": "models" };

/** Where one is. */
export function Crumbs({ workspace }: { workspace: string }) {
  const parts = useRouterState({ select: (state) => state.location.pathname.split("/").filter(Boolean) });
  const [noun, name] = parts;
  const shown = name && /^[0-9a-f]{32}$/.test(name) ? short(name) : name && decodeURIComponent(name);
  const experiments = useQuery({ ...experimentsQuery(), enabled: noun === "experiments" && name !== undefined });
  const experiment = experiments.data?.find((entry) => noun === "experiments" && entry.id === name);
  const title = noun && (NAMES[noun] ?? noun.charAt(0).toUpperCase() + noun.slice(1));
  return (
    <nav aria-label="breadcrumb" style={{ flex: 1, minWidth: 0 }}>
      <ol className="crumbs">
        <li>
          <Link to="/">{workspace}</Link>
        </li>
        {title && <li>{name ? <a href={`/${LISTS[noun ?? ""] ?? noun}`}>{title}</a> : title}</li>}
        {shown && <li aria-current="page">{experiment?.name ?? shown}</li>}
      </ol>
    </nav>
  );
}
