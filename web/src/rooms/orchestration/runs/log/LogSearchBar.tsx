import { useState } from "react";
import { count, plural } from "../../../../format/number";
import type { Looked, LogSearch } from "./useLogSearch";

interface LogSearchBarProps {
  search: LogSearch;
  at: number;
  onSearch: (looked: Looked, from?: number) => void;
  onGo: (index: number) => void;
}

/** What is looked for in a log: enter begins, enter again goes to the next match, with shift to the one before. */
export function LogSearchBar({ search, at, onSearch, onGo }: LogSearchBarProps) {
  const [looked, setLooked] = useState<Looked>({ pattern: "", regex: false, case: false });
  const [asked, setAsked] = useState<Looked | null>(null);
  const begin = (next: Looked) => {
    setAsked(next);
    onSearch(next);
  };
  const change = (change: Partial<Looked>) => {
    const next = { ...looked, ...change };
    setLooked(next);
    // A switch begins the search anew; text is looked for when it is whole.
    if (change.pattern === undefined ? asked && next.pattern : change.pattern === "") begin(next);
  };
  const same = asked?.pattern === looked.pattern;
  const { found, state } = search;
  return (
    <div className="row" role="search" style={{ gap: 4 }}>
      <input
        className="input"
        type="search"
        placeholder="Search the log"
        aria-label="Search the log"
        value={looked.pattern}
        onChange={(event) => change({ pattern: event.target.value })}
        onKeyDown={(event) => {
          if (event.key !== "Enter") return;
          if (same && found.length > 0) onGo(at + (event.shiftKey ? -1 : 1));
          else begin(looked);
        }}
      />
      <button
        type="button"
        className="button mono"
        aria-pressed={looked.regex}
        title="regular expression"
        aria-label="regular expression"
        onClick={() => change({ regex: !looked.regex })}
      >
        .*
      </button>
      <button
        type="button"
        className="button mono"
        aria-pressed={looked.case}
        title="upper and lower case count"
        aria-label="upper and lower case count"
        onClick={() => change({ case: !looked.case })}
      >
        Aa
      </button>
      {found.length > 0 && (
        <>
          <button type="button" className="button" aria-label="match before" onClick={() => onGo(at - 1)}>
            ↑
          </button>
          <button type="button" className="button" aria-label="next match" onClick={() => onGo(at + 1)}>
            ↓
          </button>
        </>
      )}
      <span className="small muted" aria-live="polite">
        {state && found.length > 0 && `${count(at + 1)} of ${plural(found.length, "line")}`}
        {state && found.length === 0 && !search.running && same && "no line has it"}
        {state && search.running && `, looked at ${count(state.looked_at)} of ${count(state.total)}`}
      </span>
      {state?.more && !search.running && asked && (
        <button type="button" className="button" onClick={() => onSearch(asked, state.looked_at)}>
          Search on
        </button>
      )}
    </div>
  );
}
