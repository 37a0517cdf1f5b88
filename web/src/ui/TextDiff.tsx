import { useMemo } from "react";
import { diff } from "../format/diff";

const SIGNS = { same: " ", added: "+", removed: "−" };
const WORDS = { same: "", added: "added: ", removed: "removed: " };

/** What differs between two texts, line by line, with signs and not colours alone. */
export function TextDiff({ before, after, label }: { before: string; after: string; label: string }) {
  const lines = useMemo(() => diff(before, after), [before, after]);
  return (
    <pre className="code diff" tabIndex={0} aria-label={label}>
      {lines.map(({ kind, text }, index) => (
        // oxlint-disable-next-line react/no-array-index-key
        <div key={index} className={`diff-${kind}`}>
          <span aria-hidden>{SIGNS[kind]} </span>
          <span className="visually-hidden">{WORDS[kind]}</span>
          {text}
        </div>
      ))}
    </pre>
  );
}
