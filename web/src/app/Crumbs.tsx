import { Link, useRouterState } from "@tanstack/react-router";

const NAMES: Record<string, string> = { tracked: "Experiments", "": "Home" };

/** Where one is. */
export function Crumbs({ workspace }: { workspace: string }) {
  const parts = useRouterState({ select: (state) => state.location.pathname.split("/").filter(Boolean) });
  const [noun, name] = parts;
  const shown = name && /^[0-9a-f]{32}$/.test(name) ? name.slice(0, 8) : name && decodeURIComponent(name);
  const title = noun && (NAMES[noun] ?? noun.charAt(0).toUpperCase() + noun.slice(1));
  return (
    <nav aria-label="breadcrumb" style={{ flex: 1, minWidth: 0 }}>
      <ol className="crumbs">
        <li>
          <Link to="/">{workspace}</Link>
        </li>
        {title && <li>{name ? <a href={`/${noun === "tracked" ? "experiments" : noun}`}>{title}</a> : title}</li>}
        {shown && <li aria-current="page">{shown}</li>}
      </ol>
    </nav>
  );
}
