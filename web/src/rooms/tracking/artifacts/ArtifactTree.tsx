import IconChevronDown from "@tabler/icons-react/dist/esm/icons/IconChevronDown.mjs";
import IconChevronRight from "@tabler/icons-react/dist/esm/icons/IconChevronRight.mjs";
import IconFile from "@tabler/icons-react/dist/esm/icons/IconFile.mjs";
import { useVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import { bytes } from "../../../format/bytes";
import type { TreeRow } from "./tree";

interface ArtifactTreeProps {
  rows: readonly TreeRow[];
  selected?: string;
  onToggle: (folder: string) => void;
  onSelect: (path: string) => void;
}

const ROW = 26;
const NOTES = { loading: "reading…", empty: "empty", failed: "could not be read" };

/** Folders and files as a tree that the arrow keys walk; only the lines in sight exist. */
export function ArtifactTree({ rows, selected, onToggle, onSelect }: ArtifactTreeProps) {
  const host = useRef<HTMLDivElement>(null);
  const [at, setAt] = useState(() =>
    Math.max(
      0,
      rows.findIndex((row) => row.path === selected),
    ),
  );
  const lines = useVirtualizer({
    count: rows.length,
    getScrollElement: () => host.current,
    estimateSize: () => ROW,
    overscan: 12,
  });
  const place = rows.findIndex((row) => row.path === selected);
  useEffect(() => {
    if (place < 0) return;
    setAt(place);
    lines.scrollToIndex(place, { align: "auto" });
  }, [place, lines]);
  const go = (to: number) => {
    const next = Math.min(Math.max(to, 0), rows.length - 1);
    setAt(next);
    lines.scrollToIndex(next, { align: "auto" });
  };
  const choose = (row: TreeRow | undefined) => {
    if (!row || row.note) return;
    if (row.folder) onToggle(row.path);
    onSelect(row.path);
  };
  const onKey = (event: KeyboardEvent) => {
    const row = rows[at];
    if (event.key === "ArrowDown") go(at + 1);
    else if (event.key === "ArrowUp") go(at - 1);
    else if (event.key === "Home") go(0);
    else if (event.key === "End") go(rows.length - 1);
    else if (event.key === "ArrowRight" && row?.open) go(at + 1);
    else if (event.key === "ArrowRight" && row?.folder) onToggle(row.path);
    else if (event.key === "ArrowLeft" && row?.open) onToggle(row.path);
    else if (event.key === "ArrowLeft" && row)
      go(rows.findLastIndex((one, index) => index < at && one.depth < row.depth));
    else if (event.key === "Enter" || event.key === " ") choose(row);
    else return;
    event.preventDefault();
  };
  const items = lines.getVirtualItems();
  return (
    <div
      ref={host}
      className="files-tree"
      role="tree"
      aria-label="files"
      tabIndex={0}
      aria-activedescendant={items.some(({ index }) => index === at) ? `file-${at}` : undefined}
      onKeyDown={onKey}
    >
      <div role="presentation" style={{ height: lines.getTotalSize(), position: "relative" }}>
        {items.map(({ index, start }) => {
          const row = rows[index];
          return (
            row && (
              // The tree has the keys.
              // oxlint-disable-next-line jsx-a11y/click-events-have-key-events
              <div
                key={row.path}
                id={`file-${index}`}
                role="treeitem"
                tabIndex={-1}
                aria-level={row.depth + 1}
                aria-expanded={row.folder ? row.open : undefined}
                aria-selected={row.path === selected}
                className={`files-row ${index === at ? "at" : ""}`}
                style={{ top: start, height: ROW, paddingLeft: 6 + row.depth * 16 }}
                title={row.name}
                onClick={() => {
                  setAt(index);
                  choose(row);
                }}
              >
                {row.note ? (
                  <span className="muted small">{NOTES[row.note]}</span>
                ) : (
                  <>
                    <Sign row={row} />
                    <span className="clip">{row.name}</span>
                    {!row.folder && <span className="muted small files-size">{bytes(row.size)}</span>}
                  </>
                )}
              </div>
            )
          );
        })}
      </div>
    </div>
  );
}

function Sign({ row }: { row: TreeRow }) {
  if (!row.folder) return <IconFile size={14} stroke={1.6} aria-hidden className="files-sign" />;
  const Chevron = row.open ? IconChevronDown : IconChevronRight;
  return <Chevron size={14} stroke={2} aria-hidden className="files-sign" />;
}
