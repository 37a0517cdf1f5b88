import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { connectionsSearch, copySearch } from "../rooms/transfer/search";
import { flowSearch, sqlSearch } from "../rooms/transform/search";
import { getParentRoute } from "./root";

/** What reads, transforms and moves data. */
export const dataRoutes = [
  createRoute({
    getParentRoute,
    path: "/sql",
    validateSearch: sqlSearch,
    component: lazyRouteComponent(() => import("../rooms/transform/sql/SqlPage"), "SqlPage"),
  }),
  createRoute({
    getParentRoute,
    path: "/sql-models",
    component: lazyRouteComponent(() => import("../rooms/transform/sqlModels/SqlModelsPage"), "SqlModelsPage"),
  }),
  createRoute({
    getParentRoute,
    path: "/sql-models/$name",
    component: lazyRouteComponent(() => import("../rooms/transform/sqlModels/SqlModelPage"), "SqlModelPage"),
  }),
  createRoute({
    getParentRoute,
    path: "/flows",
    component: lazyRouteComponent(() => import("../rooms/transform/flows/FlowsPage"), "FlowsPage"),
  }),
  createRoute({
    getParentRoute,
    path: "/flows/$name",
    validateSearch: flowSearch,
    component: lazyRouteComponent(() => import("../rooms/transform/flows/FlowPage"), "FlowPage"),
  }),
  createRoute({
    getParentRoute,
    path: "/connections",
    validateSearch: connectionsSearch,
    component: lazyRouteComponent(() => import("../rooms/transfer/connections/ConnectionsPage"), "ConnectionsPage"),
  }),
  createRoute({
    getParentRoute,
    path: "/copy",
    validateSearch: copySearch,
    component: lazyRouteComponent(() => import("../rooms/transfer/copy/CopyPage"), "CopyPage"),
  }),
] as const;
