import { useState } from "react";
import { shownAddress } from "../addresses";
import { NotShown } from "./NotShown";
import type { ViewerProps } from "./viewer";

/** A picture; drawn by the browser as a picture, so that nothing in an SVG runs. */
export function ImageView({ path, name }: ViewerProps) {
  const [failed, setFailed] = useState(false);
  if (failed) return <NotShown path={path} what="The browser cannot show this picture." />;
  return <img src={shownAddress(path)} alt={name} onError={() => setFailed(true)} />;
}

/** Sound or moving pictures, read by ranges as they play. */
export function PlayerView({ path, name, kind }: ViewerProps & { kind: "audio" | "video" }) {
  const [failed, setFailed] = useState(false);
  if (failed) return <NotShown path={path} what={`The browser cannot play this ${kind}.`} />;
  const Player = kind;
  return (
    <Player
      src={shownAddress(path)}
      controls
      preload="metadata"
      aria-label={name}
      onError={() => setFailed(true)}
      style={{ width: kind === "audio" ? "100%" : undefined }}
    />
  );
}

/** A page that a run wrote: its scripts run without an origin and reach no server, this one included. */
export function HtmlView({ path, name }: ViewerProps) {
  return <iframe title={name} src={shownAddress(path)} sandbox="allow-scripts" referrerPolicy="no-referrer" />;
}

/** A PDF, where the browser has a reader for it. */
export function PdfView({ path, name }: ViewerProps) {
  if (!navigator.pdfViewerEnabled) return <NotShown path={path} what="This browser shows no PDF." />;
  // A browser's reader of PDF does not start in a sandbox; the server sends a PDF as nothing else.
  // oxlint-disable-next-line react/iframe-missing-sandbox
  return <iframe title={name} src={shownAddress(path)} referrerPolicy="no-referrer" />;
}
