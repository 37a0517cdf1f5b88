import type { LogLineView } from "../../../../api/types.gen";
import { spans } from "./ansi";
import { LINE } from "./position";

const ERROR = /\b(?:error|exception|traceback|panicked|fatal|failed)\b/i;

interface LogLineProps {
  number: number;
  line: LogLineView | undefined;
  top: number;
  marked: string;
  times: boolean;
  onPick: (line: number) => void;
}

/** One line: its number, which is a link to it, its time, and its text in its colours. */
export function LogLine({ number, line, top, marked, times, onPick }: LogLineProps) {
  const trouble = line && ERROR.test(line.text) ? "bad" : "";
  return (
    <div className={`log-line ${line?.stream ?? ""} ${trouble} ${marked}`} style={{ top, height: LINE }}>
      <button
        type="button"
        className="log-number"
        tabIndex={-1}
        aria-label={`link to line ${number + 1}`}
        onClick={() => onPick(number)}
      >
        {number + 1}
      </button>
      {line?.stream === "stderr" && (
        <span className="log-stream" title="standard error">
          err
        </span>
      )}
      {times && line && <time className="log-time">{clockOf(line.at_ms)}</time>}
      {line &&
        spans(line.text).map((span, index) => (
          <span
            key={index}
            className={[
              span.color === null ? "" : `ansi-${span.color}`,
              span.bold ? "ansi-bold" : "",
              span.dim ? "ansi-dim" : "",
              span.italic ? "ansi-italic" : "",
              span.underline ? "ansi-underline" : "",
            ].join(" ")}
          >
            {span.text}
          </span>
        ))}
      {line?.cut && <span className="muted"> … cut; the whole line is in the download</span>}
    </div>
  );
}

/** `14:03:27.120`, in the reader's time; a line that nobody timed has none. */
function clockOf(at: number | null): string {
  if (at === null) return "–";
  const date = new Date(at);
  return `${part(date.getHours())}:${part(date.getMinutes())}:${part(date.getSeconds())}.${part(date.getMilliseconds(), 3)}`;
}

const part = (number: number, size = 2) => String(number).padStart(size, "0");
