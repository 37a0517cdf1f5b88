import { useQuery } from "@tanstack/react-query";
import IconActivity from "@tabler/icons-react/dist/esm/icons/IconActivity.mjs";
import IconBolt from "@tabler/icons-react/dist/esm/icons/IconBolt.mjs";
import IconCalendarTime from "@tabler/icons-react/dist/esm/icons/IconCalendarTime.mjs";
import IconChecklist from "@tabler/icons-react/dist/esm/icons/IconChecklist.mjs";
import IconCopy from "@tabler/icons-react/dist/esm/icons/IconCopy.mjs";
import IconCube from "@tabler/icons-react/dist/esm/icons/IconCube.mjs";
import IconDatabase from "@tabler/icons-react/dist/esm/icons/IconDatabase.mjs";
import IconFlask from "@tabler/icons-react/dist/esm/icons/IconFlask.mjs";
import IconHome from "@tabler/icons-react/dist/esm/icons/IconHome.mjs";
import IconListTree from "@tabler/icons-react/dist/esm/icons/IconListTree.mjs";
import IconMessage from "@tabler/icons-react/dist/esm/icons/IconMessage.mjs";
import IconPlayerPlay from "@tabler/icons-react/dist/esm/icons/IconPlayerPlay.mjs";
import IconPlug from "@tabler/icons-react/dist/esm/icons/IconPlug.mjs";
import IconPlugConnected from "@tabler/icons-react/dist/esm/icons/IconPlugConnected.mjs";
import IconRoute from "@tabler/icons-react/dist/esm/icons/IconRoute.mjs";
import IconSchema from "@tabler/icons-react/dist/esm/icons/IconSchema.mjs";
import IconSitemap from "@tabler/icons-react/dist/esm/icons/IconSitemap.mjs";
import IconTerminal2 from "@tabler/icons-react/dist/esm/icons/IconTerminal2.mjs";
import IconThumbUp from "@tabler/icons-react/dist/esm/icons/IconThumbUp.mjs";
import IconTimeline from "@tabler/icons-react/dist/esm/icons/IconTimeline.mjs";
import IconWebhook from "@tabler/icons-react/dist/esm/icons/IconWebhook.mjs";
import { Link, useLocation } from "@tanstack/react-router";
import { useEffect } from "react";
import { approvalsQuery } from "../rooms/orchestration/queries";

const ITEMS = [
  { to: "/", name: "Home", icon: IconHome },
  { to: "/pipelines", name: "Pipelines", icon: IconRoute },
  { to: "/runs", name: "Runs", icon: IconPlayerPlay },
  { to: "/approvals", name: "Approvals", icon: IconThumbUp },
  { to: "/events", name: "Events", icon: IconBolt },
  { to: "/triggers", name: "Triggers", icon: IconCalendarTime },
  { to: "/timeline", name: "Timeline", icon: IconTimeline },
  { to: "/experiments", name: "Experiments", icon: IconFlask },
  { to: "/traces", name: "Traces", icon: IconListTree },
  { to: "/prompts", name: "Prompts", icon: IconMessage },
  { to: "/evaluation", name: "Evaluation", icon: IconChecklist },
  { to: "/connections", name: "Connections", icon: IconPlug },
  { to: "/copy", name: "Copy", icon: IconCopy },
  { to: "/data", name: "Data", icon: IconDatabase },
  { to: "/sql", name: "SQL", icon: IconTerminal2 },
  { to: "/sql-models", name: "SQL models", icon: IconSchema },
  { to: "/flows", name: "Flows", icon: IconSitemap },
  { to: "/models", name: "Models", icon: IconCube },
  { to: "/endpoints", name: "Endpoints", icon: IconPlugConnected },
  { to: "/monitoring", name: "Monitoring", icon: IconActivity },
  { to: "/webhooks", name: "Webhooks", icon: IconWebhook },
] as const;

/** The nouns of the product. */
export function Nav() {
  const noun = useLocation({ select: ({ pathname }) => pathname.split("/")[1] ?? "" });
  useEffect(() => {
    // On a narrow screen the nouns stand in a row that scrolls.
    const item = document.querySelector(`.nav .item[href="/${CSS.escape(noun)}"]`);
    item?.scrollIntoView({ inline: "center", block: "nearest" });
  }, [noun]);
  const waiting = useQuery(approvalsQuery({ state: "waiting", limit: 1 })).data?.waiting ?? 0;
  return ITEMS.map(({ to, name, icon: Icon }) => (
    <Link key={to} to={to} className="item" activeOptions={{ exact: to === "/", includeSearch: false }}>
      <Icon size={17} stroke={1.8} aria-hidden />
      {name}
      {to === "/approvals" && waiting > 0 && (
        <span className="tag accent" aria-label={`${waiting} wait for an approval`}>
          {waiting}
        </span>
      )}
    </Link>
  ));
}
