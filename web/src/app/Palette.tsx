import IconSearch from "@tabler/icons-react/dist/esm/icons/IconSearch.mjs";
import { useQuery } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";
import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import { searchQuery } from "./queries";
import { type PaletteEntry, pages } from "./paletteEntries";

/** Search over all nouns; opens with `/`. */
export function Palette() {
  const [open, setOpen] = useState(false);
  useEffect(() => {
    const listen = (event: globalThis.KeyboardEvent) => {
      const target = event.target as HTMLElement;
      if (event.key !== "/" || target.closest("input, textarea, select, [contenteditable]")) return;
      event.preventDefault();
      setOpen(true);
    };
    document.addEventListener("keydown", listen);
    return () => document.removeEventListener("keydown", listen);
  }, []);
  return (
    <>
      <button type="button" className="button" onClick={() => setOpen(true)} aria-label="Search" aria-keyshortcuts="/">
        <IconSearch size={15} aria-hidden /> <kbd className="mono muted">/</kbd>
      </button>
      {open && <PaletteBox onClose={() => setOpen(false)} />}
    </>
  );
}

function PaletteBox({ onClose }: { onClose: () => void }) {
  const router = useRouter();
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const input = useRef<HTMLInputElement>(null);
  const hits = useQuery(searchQuery(text));
  const entries: PaletteEntry[] = [
    ...pages(text),
    ...(text.trim() ? (hits.data ?? []) : []).map((hit) => ({
      key: hit.path,
      name: hit.name,
      kind: hit.kind,
      detail: hit.detail,
      path: hit.path,
    })),
  ];
  useEffect(() => input.current?.focus(), []);
  const go = (entry: PaletteEntry | undefined) => {
    if (!entry) return;
    onClose();
    router.history.push(entry.path);
  };
  const onKey = (event: KeyboardEvent) => {
    if (event.key === "Escape") onClose();
    else if (event.key === "Enter") go(entries[at]);
    else if (event.key === "ArrowDown") setAt(Math.min(at + 1, entries.length - 1));
    else if (event.key === "ArrowUp") setAt(Math.max(at - 1, 0));
    else return;
    event.preventDefault();
  };
  return (
    <div className="palette" role="search">
      <input
        ref={input}
        value={text}
        placeholder="Go to a pipeline, run, dataset, model, endpoint…"
        aria-label="Search everything"
        role="combobox"
        aria-expanded
        aria-controls="palette-list"
        aria-activedescendant={entries[at] ? `palette-${at}` : undefined}
        onChange={(event) => {
          setText(event.target.value);
          setAt(0);
        }}
        onKeyDown={onKey}
        onBlur={() => setTimeout(onClose, 150)}
      />
      <ul id="palette-list" role="listbox" aria-label="found">
        {entries.map((entry, index) => (
          <li
            key={entry.key}
            id={`palette-${index}`}
            role="option"
            aria-selected={index === at}
            onMouseDown={() => go(entry)}
            onMouseEnter={() => setAt(index)}
          >
            <span className="found">
              {entry.name} {entry.detail && <span className="muted small">{entry.detail}</span>}
            </span>
            <span className="muted small">{entry.kind}</span>
          </li>
        ))}
      </ul>
      {entries.length === 0 && (
        <p className="muted" style={{ padding: 12 }}>
          {hits.isFetching ? "Searching…" : "Nothing has that name."}
        </p>
      )}
    </div>
  );
}
