import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef, useState } from "react";
import { plural } from "../../../format/number";
import { Failure } from "../../../ui/Failure";
import { Loading } from "../../../ui/Loading";
import { firstError, isError, matches } from "./log";
import { useLog } from "./useLog";

const LINE = 18;

/** The merged output of a step, live; opens at the first error and can be searched. */
export function LogView({ run, step, attempt }: { run: string; step: string; attempt: number }) {
  const { lines: read, ended, loaded, problem } = useLog(run, step, attempt);
  const lines = useMemo(() => (read.at(-1) === "" ? read.slice(0, -1) : read), [read]);
  const [needle, setNeedle] = useState("");
  const [follow, setFollow] = useState(true);
  const [at, setAt] = useState(0);
  const host = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({
    count: lines.length,
    getScrollElement: () => host.current,
    estimateSize: () => LINE,
    overscan: 20,
  });
  const found = useMemo(() => matches(lines, needle), [lines, needle]);
  const trouble = useMemo(() => (ended ? firstError(lines) : -1), [lines, ended]);
  const opened = useRef(false);

  useEffect(() => {
    if (ended && trouble >= 0 && !opened.current) rows.scrollToIndex(trouble, { align: "start" });
    else if (follow && !ended && lines.length > 0) rows.scrollToIndex(lines.length - 1, { align: "end" });
    if (ended) opened.current = true;
  }, [lines.length, ended, trouble, follow, rows]);

  const go = (step: number) => {
    if (found.length === 0) return;
    const next = (at + step + found.length) % found.length;
    setAt(next);
    rows.scrollToIndex(found[next] ?? 0, { align: "center" });
  };
  if (!loaded) return <Loading rows={6} label="Loading the log" />;
  if (problem && lines.length === 0) return <Failure problem={problem} />;
  return (
    <div className="stack" style={{ gap: 6 }}>
      <div className="row">
        <input
          className="input"
          type="search"
          placeholder="Search the log"
          aria-label="Search the log"
          value={needle}
          onChange={(event) => {
            setNeedle(event.target.value);
            setAt(0);
          }}
          onKeyDown={(event) => event.key === "Enter" && go(event.shiftKey ? -1 : 1)}
        />
        {needle && <span className="small muted">{plural(found.length, "line")}</span>}
        {trouble >= 0 && (
          <button type="button" className="button" onClick={() => rows.scrollToIndex(trouble, { align: "start" })}>
            First error
          </button>
        )}
        {!ended && (
          <label className="row small">
            <input type="checkbox" checked={follow} onChange={(event) => setFollow(event.target.checked)} /> follow
          </label>
        )}
        <span className="small muted">
          {plural(lines.length, "line")}
          {ended ? "" : ", live"}
        </span>
      </div>
      {lines.join("").length === 0 ? (
        <p className="muted small">{ended ? "This step wrote nothing." : "Nothing written yet."}</p>
      ) : (
        <div
          ref={host}
          className="log"
          style={{ height: Math.min(380, lines.length * LINE + 12) }}
          tabIndex={0}
          role="log"
          aria-label={`log of ${step}`}
        >
          <div style={{ height: rows.getTotalSize(), position: "relative", minWidth: "max-content" }}>
            {rows.getVirtualItems().map((row) => {
              const line = lines[row.index] ?? "";
              const mark = [isError(line) ? "bad" : "", found[at] === row.index ? "here" : ""].join(" ");
              return (
                <div key={row.key} className={`log-line ${mark}`} style={{ top: row.start, height: LINE }}>
                  <span className="log-number">{row.index + 1}</span>
                  {line}
                </div>
              );
            })}
          </div>
        </div>
      )}
    </div>
  );
}
