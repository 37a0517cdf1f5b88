import { useState } from "react";
import { count, plural } from "../../../format/number";
import { duration } from "../../../format/duration";
import { Ago } from "../../../ui/Ago";
import type { PastQuery } from "./history";

interface HistoryListProps {
  history: readonly PastQuery[];
  onPick: (query: string) => void;
  onForget: () => void;
}

/** What was run in this browser, newest first. */
export function HistoryList({ history, onPick, onForget }: HistoryListProps) {
  const [search, setSearch] = useState("");
  const wanted = search.trim().toLowerCase();
  const found = history.filter(({ sql }) => sql.toLowerCase().includes(wanted));
  if (history.length === 0) return <p className="muted small">No query was run in this browser yet.</p>;
  return (
    <section className="sql-history" aria-label="history">
      <div className="row spread">
        <input
          type="search"
          className="input"
          aria-label="Search the history"
          placeholder={`Search ${count(history.length)} queries`}
          value={search}
          onChange={(event) => setSearch(event.target.value)}
        />
        <button type="button" className="button quiet small" onClick={onForget}>
          Forget all
        </button>
      </div>
      <ul className="plain table-scroll" style={{ maxHeight: 220, gap: 2 }}>
        {found.map((past) => (
          <li key={past.sql}>
            <button type="button" className="version" onClick={() => onPick(past.sql)}>
              <span className="mono clip" style={{ maxWidth: "100%" }}>
                {past.sql.replaceAll(/\s+/g, " ")}
              </span>
              <span className="muted small">
                <Ago at={new Date(past.at).toISOString()} />
                {past.failed ? ", failed" : past.rows !== undefined && `, ${plural(past.rows, "row")}`}
                {past.elapsed_ms !== undefined && ` in ${duration(past.elapsed_ms)}`}
              </span>
            </button>
          </li>
        ))}
      </ul>
      {found.length === 0 && <p className="muted small">No query has “{search}” in it.</p>}
    </section>
  );
}
