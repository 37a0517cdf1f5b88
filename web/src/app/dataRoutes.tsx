import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { sqlSearch } from "../rooms/transform/search";
import { getParentRoute } from "./root";

/** What reads, transforms and moves data. */
export const dataRoutes = [
  createRoute({
    getParentRoute,
    path: "/sql",
    validateSearch: sqlSearch,
    component: lazyRouteComponent(() => import("../rooms/transform/sql/SqlPage"), "SqlPage"),
  }),
] as const;
