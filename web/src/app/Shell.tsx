import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, Outlet } from "@tanstack/react-router";
import { useLiveUpdates } from "../api/events";
import { AccountMenu } from "./AccountMenu";
import { Crumbs } from "./Crumbs";
import { LiveStatus } from "./LiveStatus";
import { Nav } from "./Nav";
import { Palette } from "./Palette";
import { workspaceQuery } from "./queries";
import { SchemeButton } from "./SchemeButton";

/** What is around every page. */
export function Shell() {
  const live = useLiveUpdates(useQueryClient());
  const workspace = useQuery(workspaceQuery());
  return (
    <div className="shell">
      <a className="skip" href="#main">
        Skip to the page
      </a>
      <nav className="nav" aria-label="main">
        <Link to="/" className="brand" aria-label="Millrace, home">
          <img src="/favicon.svg" width={22} height={22} alt="" />
          <span>Millrace</span>
        </Link>
        <Nav />
        <div className="foot small muted">
          <div>{workspace.data?.name}</div>
          <div>{workspace.data?.version}</div>
        </div>
      </nav>
      <div>
        <header className="bar">
          <Crumbs workspace={workspace.data?.name ?? "workspace"} />
          <Palette />
          <LiveStatus state={live} />
          <SchemeButton />
          <AccountMenu />
        </header>
        <main id="main" className="main" tabIndex={-1} style={{ outline: "none" }}>
          <Outlet />
        </main>
      </div>
    </div>
  );
}
