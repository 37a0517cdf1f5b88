import { createRoute, createRouter, lazyRouteComponent, redirect } from "@tanstack/react-router";
import { monitorSearch } from "../rooms/monitoring/search";
import {
  dataSearch,
  datasetSearch,
  experimentSearch,
  fileSearch,
  modelSearch,
  trackedRunSearch,
  evaluationSearch,
  promptSearch,
  traceSearch,
  tracesSearch,
  webhookSearch,
} from "../rooms/tracking/search";
import { dataRoutes } from "./dataRoutes";
import { HomePage } from "./home/HomePage";
import { orchestrationRoutes } from "./orchestrationRoutes";
import { getParentRoute, root } from "./root";

const routes = [
  createRoute({ getParentRoute, path: "/", component: HomePage }),
  ...orchestrationRoutes,
  ...dataRoutes,
  createRoute({
    getParentRoute,
    path: "/experiments",
    component: lazyRouteComponent(() => import("../rooms/tracking/experiments/ExperimentsPage"), "ExperimentsPage"),
  }),
  createRoute({
    getParentRoute,
    path: "/experiments/$experiment",
    validateSearch: experimentSearch,
    component: lazyRouteComponent(() => import("../rooms/tracking/experiments/ExperimentPage"), "ExperimentPage"),
  }),
  createRoute({
    getParentRoute,
    path: "/tracked/$run",
    validateSearch: trackedRunSearch,
    component: lazyRouteComponent(() => import("../rooms/tracking/experiments/TrackedRunPage"), "TrackedRunPage"),
  }),
  createRoute({
    getParentRoute,
    path: "/data",
    validateSearch: dataSearch,
    beforeLoad: ({ search }) => {
      // Where queries stood in earlier versions.
      if (search.sql) throw redirect({ to: "/sql", search: { q: search.sql } });
    },
    component: lazyRouteComponent(() => import("../rooms/tracking/data/DataPage"), "DataPage"),
  }),
  createRoute({
    getParentRoute,
    path: "/data/$name",
    validateSearch: datasetSearch,
    component: lazyRouteComponent(() => import("../rooms/tracking/data/DatasetPage"), "DatasetPage"),
  }),
  createRoute({
    getParentRoute,
    path: "/models",
    component: lazyRouteComponent(() => import("../rooms/tracking/models/ModelsPage"), "ModelsPage"),
  }),
  createRoute({
    getParentRoute,
    path: "/models/$name",
    validateSearch: modelSearch,
    component: lazyRouteComponent(() => import("../rooms/tracking/models/ModelPage"), "ModelPage"),
  }),
  createRoute({
    getParentRoute,
    path: "/logged-models/$model",
    validateSearch: fileSearch,
    component: lazyRouteComponent(() => import("../rooms/tracking/models/LoggedModelPage"), "LoggedModelPage"),
  }),
  createRoute({
    getParentRoute,
    path: "/traces",
    validateSearch: tracesSearch,
    component: lazyRouteComponent(() => import("../rooms/tracking/traces/TracesPage"), "TracesPage"),
  }),
  createRoute({
    getParentRoute,
    path: "/traces/$trace",
    validateSearch: traceSearch,
    component: lazyRouteComponent(() => import("../rooms/tracking/traces/TracePage"), "TracePage"),
  }),
  createRoute({
    getParentRoute,
    path: "/prompts",
    component: lazyRouteComponent(() => import("../rooms/tracking/prompts/PromptsPage"), "PromptsPage"),
  }),
  createRoute({
    getParentRoute,
    path: "/prompts/$name",
    validateSearch: promptSearch,
    component: lazyRouteComponent(() => import("../rooms/tracking/prompts/PromptPage"), "PromptPage"),
  }),
  createRoute({
    getParentRoute,
    path: "/webhooks",
    validateSearch: webhookSearch,
    component: lazyRouteComponent(() => import("../rooms/tracking/webhooks/WebhooksPage"), "WebhooksPage"),
  }),
  createRoute({
    getParentRoute,
    path: "/evaluation",
    component: lazyRouteComponent(() => import("../rooms/tracking/evaluation/EvaluationPage"), "EvaluationPage"),
  }),
  createRoute({
    getParentRoute,
    path: "/evaluation/$dataset",
    validateSearch: evaluationSearch,
    component: lazyRouteComponent(
      () => import("../rooms/tracking/evaluation/EvaluationDatasetPage"),
      "EvaluationDatasetPage",
    ),
  }),
  createRoute({
    getParentRoute,
    path: "/endpoints",
    component: lazyRouteComponent(() => import("../rooms/deployment/EndpointsPage"), "EndpointsPage"),
  }),
  createRoute({
    getParentRoute,
    path: "/endpoints/$name",
    component: lazyRouteComponent(() => import("../rooms/deployment/EndpointPage"), "EndpointPage"),
  }),
  createRoute({
    getParentRoute,
    path: "/monitoring",
    component: lazyRouteComponent(() => import("../rooms/monitoring/MonitoringPage"), "MonitoringPage"),
  }),
  createRoute({
    getParentRoute,
    path: "/monitoring/$name",
    validateSearch: monitorSearch,
    component: lazyRouteComponent(() => import("../rooms/monitoring/MonitorPage"), "MonitorPage"),
  }),
  createRoute({
    getParentRoute,
    path: "/account",
    component: lazyRouteComponent(() => import("../rooms/accounts/AccountPage"), "AccountPage"),
  }),
  createRoute({
    getParentRoute,
    path: "/sign-in",
    validateSearch: ({ next }: Record<string, unknown>): { next?: string } =>
      typeof next === "string" ? { next } : {},
    component: lazyRouteComponent(() => import("./SignInPage"), "SignInPage"),
  }),
] as const;

export const router = createRouter({
  routeTree: root.addChildren(routes),
  defaultPreload: "intent",
  scrollRestoration: true,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
