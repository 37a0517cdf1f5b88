import { createRootRoute, Outlet, useLocation } from "@tanstack/react-router";
import { SIGN_IN } from "../api/signInPage";
import { NotFound } from "./NotFound";
import { PageFailure } from "./PageFailure";
import { Shell } from "./Shell";

/** The frame of every page; who has not signed in sees none of it. */
function Frame() {
  const isOutside = useLocation({ select: ({ pathname }) => pathname === SIGN_IN });
  return isOutside ? <Outlet /> : <Shell />;
}

/** What every page is shown in. */
export const root = createRootRoute({ component: Frame, notFoundComponent: NotFound, errorComponent: PageFailure });

export const getParentRoute = () => root;
