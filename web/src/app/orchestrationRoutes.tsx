import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import {
  approvalsSearch,
  compareSearch,
  eventsSearch,
  pipelineSearch,
  runSearch,
  runsSearch,
  timelineSearch,
  triggersSearch,
  windowsSearch,
} from "../rooms/orchestration/search";
import { getParentRoute } from "./root";

/** Pipelines, what starts them, their runs, and what those wait for. */
export const orchestrationRoutes = [
  createRoute({
    getParentRoute,
    path: "/pipelines",
    component: lazyRouteComponent(() => import("../rooms/orchestration/pipelines/PipelinesPage"), "PipelinesPage"),
  }),
  createRoute({
    getParentRoute,
    path: "/pipelines/$name",
    validateSearch: pipelineSearch,
    component: lazyRouteComponent(() => import("../rooms/orchestration/pipelines/PipelinePage"), "PipelinePage"),
  }),
  createRoute({
    getParentRoute,
    path: "/pipelines/$name/windows",
    validateSearch: windowsSearch,
    component: lazyRouteComponent(() => import("../rooms/orchestration/windows/WindowsPage"), "WindowsPage"),
  }),
  createRoute({
    getParentRoute,
    path: "/triggers",
    validateSearch: triggersSearch,
    component: lazyRouteComponent(() => import("../rooms/orchestration/triggers/TriggersPage"), "TriggersPage"),
  }),
  createRoute({
    getParentRoute,
    path: "/runs",
    validateSearch: runsSearch,
    component: lazyRouteComponent(() => import("../rooms/orchestration/runs/RunsPage"), "RunsPage"),
  }),
  createRoute({
    getParentRoute,
    path: "/runs/$run",
    validateSearch: runSearch,
    component: lazyRouteComponent(() => import("../rooms/orchestration/runs/RunPage"), "RunPage"),
  }),
  createRoute({
    getParentRoute,
    path: "/runs/$run/compare",
    validateSearch: compareSearch,
    component: lazyRouteComponent(() => import("../rooms/orchestration/compare/ComparePage"), "ComparePage"),
  }),
  createRoute({
    getParentRoute,
    path: "/timeline",
    validateSearch: timelineSearch,
    component: lazyRouteComponent(() => import("../rooms/orchestration/timeline/TimelinePage"), "TimelinePage"),
  }),
  createRoute({
    getParentRoute,
    path: "/approvals",
    validateSearch: approvalsSearch,
    component: lazyRouteComponent(() => import("../rooms/orchestration/approvals/ApprovalsPage"), "ApprovalsPage"),
  }),
  createRoute({
    getParentRoute,
    path: "/approvals/$approval",
    component: lazyRouteComponent(() => import("../rooms/orchestration/approvals/ApprovalPage"), "ApprovalPage"),
  }),
  createRoute({
    getParentRoute,
    path: "/environments",
    component: lazyRouteComponent(
      () => import("../rooms/orchestration/environments/EnvironmentsPage"),
      "EnvironmentsPage",
    ),
  }),
  createRoute({
    getParentRoute,
    path: "/events",
    validateSearch: eventsSearch,
    component: lazyRouteComponent(() => import("../rooms/orchestration/events/EventsPage"), "EventsPage"),
  }),
] as const;
