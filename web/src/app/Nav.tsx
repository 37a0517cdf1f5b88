import IconActivity from "@tabler/icons-react/dist/esm/icons/IconActivity.mjs";
import IconCube from "@tabler/icons-react/dist/esm/icons/IconCube.mjs";
import IconDatabase from "@tabler/icons-react/dist/esm/icons/IconDatabase.mjs";
import IconFlask from "@tabler/icons-react/dist/esm/icons/IconFlask.mjs";
import IconHome from "@tabler/icons-react/dist/esm/icons/IconHome.mjs";
import IconPlayerPlay from "@tabler/icons-react/dist/esm/icons/IconPlayerPlay.mjs";
import IconPlugConnected from "@tabler/icons-react/dist/esm/icons/IconPlugConnected.mjs";
import IconRoute from "@tabler/icons-react/dist/esm/icons/IconRoute.mjs";
import { Link } from "@tanstack/react-router";

const ITEMS = [
  { to: "/", name: "Home", icon: IconHome },
  { to: "/pipelines", name: "Pipelines", icon: IconRoute },
  { to: "/runs", name: "Runs", icon: IconPlayerPlay },
  { to: "/experiments", name: "Experiments", icon: IconFlask },
  { to: "/data", name: "Data", icon: IconDatabase },
  { to: "/models", name: "Models", icon: IconCube },
  { to: "/endpoints", name: "Endpoints", icon: IconPlugConnected },
  { to: "/monitoring", name: "Monitoring", icon: IconActivity },
] as const;

/** The nouns of the product. */
export function Nav() {
  return ITEMS.map(({ to, name, icon: Icon }) => (
    <Link key={to} to={to} className="item" activeOptions={{ exact: to === "/", includeSearch: false }}>
      <Icon size={17} stroke={1.8} aria-hidden />
      {name}
    </Link>
  ));
}
