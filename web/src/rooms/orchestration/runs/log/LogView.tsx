import { useNavigate, useSearch } from "@tanstack/react-router";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { Failure } from "../../../../ui/Failure";
import { Loading } from "../../../../ui/Loading";
import { logAddress } from "../../queries";
import { DroppedNotice } from "./DroppedNotice";
import { LogLines, type Target } from "./LogLines";
import { LogSearchBar } from "./LogSearchBar";
import { LogTools } from "./LogTools";
import { useLog } from "./useLog";
import { useLogSearch } from "./useLogSearch";

const TROUBLE = "^Traceback|\\b(?:error|exception|panicked|fatal|failed)\\b";

interface LogViewProps {
  run: string;
  step: string;
  attempt: number;
  /** Whether the attempt failed: then its log opens at the first error. */
  failed: boolean;
}

/** An attempt's output, live: standard output and error as they came, searched on the server, each line with an address of its own. */
export function LogView({ run, step, attempt, failed }: LogViewProps) {
  const log = useLog(run, step, attempt);
  const search = useLogSearch(run, step, attempt);
  const trouble = useLogSearch(run, step, attempt);
  const params = useSearch({ from: "/runs/$run" });
  const navigate = useNavigate({ from: "/runs/$run" });
  const linked = params.line === undefined ? null : params.line - 1;
  const [follow, setFollow] = useState(linked === null);
  const [times, setTimes] = useState(false);
  const [target, setTarget] = useState<Target | null>(linked === null ? null : { line: linked, align: "center" });
  const [at, setAt] = useState(0);
  const found = useMemo(() => new Set(search.found), [search.found]);
  const here = search.found.length > 0 ? (search.found[at] ?? null) : linked;
  const { loaded, ended, total } = log;
  const { start: lookForTrouble } = trouble;

  const show = useCallback((line: number, align: Target["align"] = "center") => {
    setFollow(false);
    setTarget({ line, align });
  }, []);
  const firstTrouble = useCallback(async () => {
    const [line] = await lookForTrouble({ pattern: TROUBLE, regex: true, case: false }, 0, 1);
    if (line !== undefined) show(line, "start");
  }, [lookForTrouble, show]);

  const opened = useRef(false);
  const atTrouble = failed && ended && loaded && total > 0 && linked === null;
  useEffect(() => {
    if (!atTrouble || opened.current) return;
    opened.current = true;
    void firstTrouble();
  }, [atTrouble, firstTrouble]);

  const leaveEnd = useCallback(() => setFollow(false), []);
  const pick = (line: number) =>
    void navigate({
      search: { ...params, step, part: "log", attempt, line: line + 1 },
      replace: true,
      resetScroll: false,
    });
  const goMatch = (index: number) => {
    const count = search.found.length;
    if (count === 0) return;
    const next = (index + count) % count;
    setAt(next);
    const line = search.found[next];
    if (line !== undefined) show(line);
  };
  if (!loaded) return <Loading rows={6} label="Loading the log" />;
  if (log.problem && total === 0) return <Failure problem={log.problem} />;
  if (total === 0) return <p className="muted small">{ended ? "This step wrote nothing." : "Nothing written yet."}</p>;
  return (
    <div className="stack" style={{ gap: 6 }}>
      <div className="row">
        <LogSearchBar
          search={search}
          at={at}
          onSearch={async (looked, from) => {
            if (from === undefined) setAt(0);
            const lines = await search.start(looked, from);
            if (from === undefined && lines[0] !== undefined) show(lines[0]);
          }}
          onGo={goMatch}
        />
        <LogTools
          log={log}
          follow={follow}
          onFollow={setFollow}
          times={times}
          onTimes={setTimes}
          onFirstError={() => void firstTrouble()}
          noError={trouble.state !== null && !trouble.running && trouble.found.length === 0}
          download={logAddress(run, step, "/file", { attempt, times })}
        />
      </div>
      {log.dropped.map((part) => (
        <DroppedNotice key={part.stream} part={part} onShow={() => show(part.line)} />
      ))}
      {search.problem && <Failure problem={search.problem} />}
      <LogLines
        log={log}
        label={`log of ${step}`}
        target={target}
        follow={follow}
        onLeaveEnd={leaveEnd}
        here={here}
        found={found}
        times={times}
        onPick={pick}
      />
      {log.problem && <Failure problem={log.problem} />}
    </div>
  );
}
