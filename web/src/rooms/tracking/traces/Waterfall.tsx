import { useVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import { ChartFrame } from "../../../charts/engine/ChartFrame";
import { duration } from "../../../format/duration";
import { count } from "../../../format/number";
import { kindColor, kindWord } from "./kindLook";
import type { SpanRow } from "./spanTree";
import { waterfallUrl } from "./waterfallSvg";

interface WaterfallProps {
  rows: readonly SpanRow[];
  /** Milliseconds from the first span's begin to the last one's end. */
  end: number;
  selected?: string;
  onSelect: (span: string) => void;
  onToggle: (span: string) => void;
}

const ROW = 26;
/** Deeper spans stand no further to the right. */
const DEEPEST = 16;

/** The spans of a trace as a tree, each with its place in time; only the lines in sight exist, and the arrow keys walk them. */
export function Waterfall({ rows, end, selected, onSelect, onToggle }: WaterfallProps) {
  const host = useRef<HTMLDivElement>(null);
  const place = rows.findIndex((row) => row.span.id === selected);
  const [at, setAt] = useState(Math.max(place, 0));
  const lines = useVirtualizer({
    count: rows.length,
    getScrollElement: () => host.current,
    estimateSize: () => ROW,
    overscan: 16,
  });
  useEffect(() => {
    if (place < 0) return;
    setAt(place);
    lines.scrollToIndex(place, { align: "auto" });
  }, [place, lines]);
  const go = (to: number) => {
    const next = Math.min(Math.max(to, 0), rows.length - 1);
    setAt(next);
    const span = rows[next]?.span.id;
    if (span) onSelect(span);
  };
  const onKey = (event: KeyboardEvent) => {
    const row = rows[at];
    if (!row) return;
    if (event.key === "ArrowDown") go(at + 1);
    else if (event.key === "ArrowUp") go(at - 1);
    else if (event.key === "Home") go(0);
    else if (event.key === "End") go(rows.length - 1);
    else if (event.key === "ArrowRight" && row.inside > 0 && row.open) go(at + 1);
    else if (event.key === "ArrowRight" && row.inside > 0) onToggle(row.span.id);
    else if (event.key === "ArrowLeft" && row.open && row.inside > 0) onToggle(row.span.id);
    else if (event.key === "ArrowLeft") go(rows.findLastIndex((one, index) => index < at && one.depth < row.depth));
    else return;
    event.preventDefault();
  };
  const data = {
    columns: ["span", "parent", "name", "type", "status", "start_ms", "duration_ms", "tokens"],
    rows: rows.map(({ span }) => [
      span.id,
      span.parent_id,
      span.name,
      span.kind,
      span.status,
      span.start_ms,
      span.duration_ms,
      span.tokens,
    ]),
  };
  return (
    <ChartFrame
      title="Spans"
      note={`${count(rows.length)} shown, ${duration(end)}`}
      data={data}
      picture={() => waterfallUrl(rows, end)}
    >
      <div
        ref={host}
        className="waterfall"
        role="tree"
        aria-label="spans"
        tabIndex={0}
        aria-activedescendant={lines.getVirtualItems().some(({ index }) => index === at) ? `span-${at}` : undefined}
        style={{ height: Math.min(rows.length * ROW + 2, 640) }}
        onKeyDown={onKey}
      >
        <div role="presentation" style={{ height: lines.getTotalSize(), position: "relative" }}>
          {lines.getVirtualItems().map(({ index, start }) => {
            const row = rows[index];
            return (
              row && (
                <Line
                  key={row.span.id}
                  row={row}
                  index={index}
                  top={start}
                  end={end}
                  selected={row.span.id === selected}
                  onSelect={onSelect}
                  onToggle={onToggle}
                />
              )
            );
          })}
        </div>
      </div>
    </ChartFrame>
  );
}

interface LineProps {
  row: SpanRow;
  index: number;
  top: number;
  end: number;
  selected: boolean;
  onSelect: (span: string) => void;
  onToggle: (span: string) => void;
}

function Line({ row, index, top, end, selected, onSelect, onToggle }: LineProps) {
  const { span, depth, inside, open } = row;
  const share = (ms: number) => `${(ms / Math.max(end, 1e-6)) * 100}%`;
  const length = span.duration_ms ?? end - span.start_ms;
  const word = kindWord(span.kind);
  return (
    // The tree has the keys.
    // oxlint-disable-next-line jsx-a11y/click-events-have-key-events
    <div
      id={`span-${index}`}
      role="treeitem"
      tabIndex={-1}
      aria-level={depth + 1}
      aria-expanded={inside > 0 ? open : undefined}
      aria-selected={selected}
      aria-label={`${span.name}, ${word || "span"}, ${duration(span.duration_ms)}${span.status === "ERROR" ? ", failed" : ""}`}
      className="waterfall-row"
      style={{ top, height: ROW }}
      onClick={() => onSelect(span.id)}
    >
      <span className="waterfall-name" style={{ paddingLeft: Math.min(depth, DEEPEST) * 12 }}>
        {inside > 0 ? (
          <span
            className="waterfall-fold"
            aria-hidden
            title={open ? "Fold" : `Unfold ${count(inside)}`}
            onClick={(event) => {
              event.stopPropagation();
              onToggle(span.id);
            }}
          >
            {open ? "▾" : "▸"}
          </span>
        ) : (
          <span className="waterfall-fold" />
        )}
        <span className="clip" title={span.name}>
          {span.status === "ERROR" && <span className="wrong">✕ </span>}
          {span.name}
        </span>
        {word && <span className="muted small nowrap">{word}</span>}
        {!open && <span className="tag">{count(inside)}</span>}
      </span>
      <span className="waterfall-track">
        <span
          className={span.duration_ms === null ? "waterfall-bar going" : "waterfall-bar"}
          style={{
            left: share(span.start_ms),
            width: `max(2px, ${share(length)})`,
            background: kindColor(span.kind, span.status),
          }}
        />
      </span>
      <span className="mono small waterfall-time">{duration(span.duration_ms)}</span>
    </div>
  );
}
