/** The page on which people say who they are. */
export const SIGN_IN = "/sign-in";

/** A path of this server; the home page for anything else, so that a link cannot lead away through the sign-in page. */
export function localPath(next: string | undefined): string {
  if (!next?.startsWith("/")) return "/";
  const there = URL.canParse(next, location.origin) ? new URL(next, location.origin) : null;
  if (there?.origin !== location.origin || there.pathname === SIGN_IN) return "/";
  return there.pathname + there.search + there.hash;
}

/** Whether this page is being left; it may come back from the browser's memory. */
let leaving = false;
addEventListener("pageshow", () => {
  leaving = false;
});

/** Leads to the sign-in page, and from there back to this one. Of several requests that are refused at once only the first does: each further
 * one would break off the way there. */
export function leaveForSignIn(): void {
  if (leaving || location.pathname === SIGN_IN) return;
  leaving = true;
  const here = location.pathname + location.search + location.hash;
  location.assign(here === "/" ? SIGN_IN : `${SIGN_IN}?${new URLSearchParams({ next: here }).toString()}`);
}
