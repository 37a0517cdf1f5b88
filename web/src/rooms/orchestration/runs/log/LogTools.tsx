import { bytes } from "../../../../format/bytes";
import { count, plural } from "../../../../format/number";
import type { Log } from "./useLog";

interface LogToolsProps {
  log: Log;
  follow: boolean;
  onFollow: (follow: boolean) => void;
  times: boolean;
  onTimes: (times: boolean) => void;
  onFirstError: () => void;
  noError: boolean;
  download: string;
}

/** What can be done with a log beside reading it. */
export function LogTools({ log, follow, onFollow, times, onTimes, onFirstError, noError, download }: LogToolsProps) {
  return (
    <>
      <button type="button" className="button" disabled={noError} onClick={onFirstError}>
        {noError ? "No error" : "First error"}
      </button>
      <label className="row small">
        <input type="checkbox" checked={times} onChange={(event) => onTimes(event.target.checked)} /> times
      </label>
      <label className="row small">
        <input type="checkbox" checked={follow} onChange={(event) => onFollow(event.target.checked)} />{" "}
        {log.ended ? "at the end" : "follow"}
      </label>
      <a className="button" href={download} download>
        Download
      </a>
      <span className="small muted">
        {log.total === 1 ? plural(1, "line") : `${count(log.total)} lines`}, {bytes(log.bytes)}
        {log.ended ? "" : ", live"}
      </span>
    </>
  );
}
