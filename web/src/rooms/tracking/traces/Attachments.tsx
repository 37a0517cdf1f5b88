import { useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useState } from "react";
import { bytes } from "../../../format/bytes";
import { explain } from "../../../ui/Answer";
import { Failure } from "../../../ui/Failure";
import { type Attachment, attachmentAddress, attachmentQuery } from "./attachments";

/** What is shown without being asked for, bytes. */
const MOST = 20_000_000;

/** Files that were attached to a span: pictures, sound and films as such, everything as something to keep. */
export function Attachments({ attachments }: { attachments: Attachment[] }) {
  return attachments.map((attachment) => <One key={attachment.id} attachment={attachment} />);
}

function One({ attachment }: { attachment: Attachment }) {
  const { id, type, size } = attachment;
  const shown = /^(image|audio|video)\//.test(type) && (size ?? 0) <= MOST;
  return (
    <figure className="stack" style={{ gap: 6, margin: 0 }}>
      {shown && <Shown attachment={attachment} />}
      <figcaption className="row small muted">
        <span className="mono">{type}</span>
        {size !== null && bytes(size)}
        <a href={attachmentAddress(attachment)} download={id}>
          Download
        </a>
      </figcaption>
    </figure>
  );
}

function Shown({ attachment }: { attachment: Attachment }) {
  const { data, error } = useQuery(attachmentQuery(attachment));
  const url = useObjectUrl(data);
  const [failed, setFailed] = useState(false);
  if (error) return <Failure problem={explain(error)} />;
  if (url === null) return <p className="muted small">Loading…</p>;
  if (failed) return <p className="muted small">The browser cannot show this file.</p>;
  const kind = attachment.type.split("/")[0];
  const fail = () => setFailed(true);
  if (kind === "image")
    return <img src={url} alt="attached to the span" onError={fail} style={{ maxWidth: "100%", maxHeight: 480 }} />;
  const Player = kind === "audio" ? "audio" : "video";
  return (
    <Player
      src={url}
      controls
      aria-label="attached to the span"
      onError={fail}
      style={{ width: "100%", maxHeight: 480 }}
    />
  );
}

/** An address of bytes in memory, which are let go with the component. */
function useObjectUrl(blob: Blob | undefined): string | null {
  const url = useMemo(() => (blob ? URL.createObjectURL(blob) : null), [blob]);
  useEffect(
    () => () => {
      if (url !== null) URL.revokeObjectURL(url);
    },
    [url],
  );
  return url;
}
