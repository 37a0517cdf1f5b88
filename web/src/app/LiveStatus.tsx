import type { LiveState } from "../api/events";

const LOOKS: Record<LiveState, { word: string; color: string; about: string }> = {
  connecting: { word: "connecting", color: "var(--warn)", about: "Waiting for live updates" },
  live: { word: "live", color: "var(--ok)", about: "This page updates by itself" },
  lost: { word: "offline", color: "var(--bad)", about: "No live updates: the server does not answer; trying again" },
};

/** Whether what is on the page is fresh. */
export function LiveStatus({ state }: { state: LiveState }) {
  const { word, color, about } = LOOKS[state];
  return (
    <span className="row small nowrap" style={{ gap: 6, flexWrap: "nowrap" }} title={about} role="status">
      <span style={{ width: 8, height: 8, borderRadius: state === "lost" ? 0 : 4, background: color }} aria-hidden />
      {word}
    </span>
  );
}
