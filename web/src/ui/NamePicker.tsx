import { useVirtualizer } from "@tanstack/react-virtual";
import { useMemo, useRef, useState } from "react";
import { count } from "../format/number";
import { matching } from "./matching";

interface NamePickerProps {
  /** What the names are, in the plural: `columns`. */
  label: string;
  names: readonly string[];
  chosen: readonly string[];
  onChange: (chosen: string[]) => void;
  height?: number;
  /** More cannot be chosen. */
  most?: number;
}

const ROW = 28;

/** Names to tick among any number of them: those that match the search, the chosen ones first. */
export function NamePicker({ label, names, chosen, onChange, height = 300, most = Infinity }: NamePickerProps) {
  const host = useRef<HTMLDivElement>(null);
  const [search, setSearch] = useState("");
  // What is ticked moves to the top the next time the list is made, not under the reader's hand.
  const [first] = useState(chosen);
  const found = useMemo(() => matching([...new Set([...first, ...names])], search), [first, names, search]);
  const ticked = useMemo(() => new Set(chosen), [chosen]);
  const rows = useVirtualizer({
    count: found.length,
    getScrollElement: () => host.current,
    estimateSize: () => ROW,
    overscan: 8,
  });
  const toggle = (name: string) =>
    onChange(ticked.has(name) ? chosen.filter((entry) => entry !== name) : [...chosen, name]);
  return (
    <div className="stack" style={{ gap: 6 }}>
      <input
        type="search"
        className="input"
        aria-label={`Search ${label}`}
        placeholder={`Search ${count(names.length)} ${label}`}
        value={search}
        onChange={(event) => setSearch(event.target.value)}
      />
      <div
        ref={host}
        role="group"
        aria-label={label}
        tabIndex={-1}
        style={{ height: Math.min(height, Math.max(found.length, 1) * ROW), overflow: "auto" }}
      >
        {found.length === 0 && <p className="muted small">No name has “{search}” in it.</p>}
        <div style={{ height: rows.getTotalSize(), position: "relative" }}>
          {rows.getVirtualItems().map(({ index, start }) => {
            const name = found[index] ?? "";
            const on = ticked.has(name);
            return (
              <label key={name} className="picker-row small" style={{ top: start, height: ROW }} title={name}>
                <input
                  type="checkbox"
                  checked={on}
                  disabled={!on && chosen.length >= most}
                  onChange={() => toggle(name)}
                />
                <span className="clip">{name}</span>
              </label>
            );
          })}
        </div>
      </div>
    </div>
  );
}
