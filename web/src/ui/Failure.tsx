import type { ReactNode } from "react";
import { Message } from "./Message";

export interface FailureText {
  message: string;
  code?: string;
  severity?: string;
  place?: { file: string; line: number; column: number } | null;
  notes?: string[];
  hints?: string[];
}

/** What went wrong, where, and what to do next. */
export function Failure({
  problem,
  retry,
  children,
}: {
  problem: FailureText;
  retry?: () => void;
  children?: ReactNode;
}) {
  const { message, code, place, notes = [], hints = [] } = problem;
  return (
    <div className={`problem ${problem.severity === "warning" ? "warning" : ""}`} role="alert">
      <div className="row spread">
        <strong>
          <Message text={message} />
        </strong>
        {retry && (
          <button type="button" className="button" onClick={retry}>
            Try again
          </button>
        )}
      </div>
      {place && (
        <div className="mono">
          {place.file}:{place.line}:{place.column}
        </div>
      )}
      {(notes.length > 0 || hints.length > 0) && (
        <ul>
          {notes.map((note) => (
            <li key={note}>
              <Message text={note} />
            </li>
          ))}
          {hints.map((hint) => (
            <li key={hint}>
              hint: <span className="mono">{hint}</span>
            </li>
          ))}
        </ul>
      )}
      {code && <div className="small muted">{code}</div>}
      {children}
    </div>
  );
}
