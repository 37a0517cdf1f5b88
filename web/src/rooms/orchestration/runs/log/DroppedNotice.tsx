import type { DroppedView } from "../../../../api/types.gen";
import { bytes } from "../../../../format/bytes";

const STREAMS: Record<string, string> = { stdout: "standard output", stderr: "standard error" };

interface DroppedNoticeProps {
  part: DroppedView;
  /** Shows the place. */
  onShow: () => void;
}

/** Says that a log is not whole, and how more of the next one is kept. */
export function DroppedNotice({ part, onShow }: DroppedNoticeProps) {
  const isDiskFull = part.reason === "the disk is full";
  return (
    <div className="problem warning" role="status">
      <div className="row spread">
        <strong>
          {bytes(part.bytes)} of {STREAMS[part.stream] ?? part.stream} are missing from this log
        </strong>
        <button type="button" className="button" onClick={onShow}>
          Show where
        </button>
      </div>
      <p>
        {isDiskFull ? (
          "The disk was full: make room, then run the step again."
        ) : (
          <>
            The beginning and the last 16 KiB were kept. More is kept with a higher <code>max_log</code> in{" "}
            <code>millrace.yaml</code>, for example <code>max_log: 256MB</code>, after the server has been started
            again.
          </>
        )}
      </p>
    </div>
  );
}
