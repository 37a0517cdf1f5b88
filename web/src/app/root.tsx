import { createRootRoute } from "@tanstack/react-router";
import { NotFound } from "./NotFound";
import { PageFailure } from "./PageFailure";
import { Shell } from "./Shell";

/** What every page is shown in. */
export const root = createRootRoute({ component: Shell, notFoundComponent: NotFound, errorComponent: PageFailure });

export const getParentRoute = () => root;
