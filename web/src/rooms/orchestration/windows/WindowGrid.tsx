import { type KeyboardEvent, useMemo, useRef, useState } from "react";
import type { WindowView } from "../../../api/types.gen";
import { localTime, plainTimes } from "../../../format/time";
import { statusLook } from "../../../ui/statusLook";
import { cellText, layout, sign, type WindowGroup } from "./grid";

interface WindowGridProps {
  windows: WindowView[];
  picked: ReadonlySet<string>;
  /** The window that the keyboard is at; the newest if null. */
  at: string | null;
  onPick: (window: WindowView, extend: boolean) => void;
}

/** The states of windows as a calendar. A click picks a window, with Shift the range up to it; arrow keys go from window to window. */
export function WindowGrid({ windows, picked, at, onPick }: WindowGridProps) {
  const host = useRef<HTMLDivElement>(null);
  const { groups, up } = useMemo(() => layout(windows), [windows]);
  const [focused, setFocused] = useState<string | null>(null);
  const known = (start: string | null) => windows.some((window) => window.start === start);
  const entry = [focused, at].find(known) ?? windows.at(-1)?.start ?? null;
  const onKeyDown = (event: KeyboardEvent<HTMLElement>) => {
    const from = event.currentTarget.dataset.start;
    const place = windows.findIndex((window) => window.start === from);
    const steps: Record<string, number> = {
      ArrowLeft: place - 1,
      ArrowRight: place + 1,
      ArrowUp: place + up,
      ArrowDown: place - up,
      Home: 0,
      End: windows.length - 1,
    };
    const next = windows[Math.min(Math.max(steps[event.key] ?? -1, 0), windows.length - 1)];
    if (steps[event.key] === undefined || !next) return;
    event.preventDefault();
    setFocused(next.start);
    host.current?.querySelector<HTMLElement>(`[data-start="${CSS.escape(next.start)}"]`)?.focus();
    if (event.shiftKey) onPick(next, true);
  };
  return (
    <div ref={host} className="window-grid" role="group" aria-label="windows">
      {groups.map((group) => (
        <Group
          key={group.label}
          group={group}
          picked={picked}
          entry={entry}
          onKeyDown={onKeyDown}
          onPick={(window, extend) => {
            setFocused(window.start);
            onPick(window, extend);
          }}
        />
      ))}
    </div>
  );
}

interface GroupProps {
  group: WindowGroup;
  picked: ReadonlySet<string>;
  /** The window that the keyboard is at. */
  entry: string | null;
  onPick: WindowGridProps["onPick"];
  onKeyDown: (event: KeyboardEvent<HTMLElement>) => void;
}

function Group({ group: { label, header, rows }, picked, entry, ...does }: GroupProps) {
  const named = rows.some((row) => row.label !== null);
  // Each block is reached by the tabulator, or one that is wider than the page could not be scrolled by the keyboard.
  const own = rows.flatMap((row) => row.cells.flatMap((window) => window?.start ?? []));
  const stop = own.find((start) => start === entry) ?? own.toSorted().at(-1);
  return (
    <section aria-label={label || undefined}>
      {label && <h3 className="small">{label}</h3>}
      <div className="window-rows">
        {header.length > 0 && (
          <div className="window-row" aria-hidden>
            {named && <span className="window-label" />}
            {header.map((name) => (
              <span key={name} className="window-head muted small">
                {name}
              </span>
            ))}
          </div>
        )}
        {rows.map((row, place) => (
          <div key={row.label ?? place} className="window-row">
            {named && <span className="window-label muted small">{row.label}</span>}
            {row.cells.map((window, column) =>
              window ? (
                <Cell
                  key={window.start}
                  window={window}
                  picked={picked.has(window.start)}
                  entry={stop === window.start}
                  {...does}
                />
              ) : (
                <span key={`${place}-${column}`} className="window-gap" />
              ),
            )}
          </div>
        ))}
      </div>
    </section>
  );
}

interface CellProps {
  window: WindowView;
  picked: boolean;
  /** Whether it is the one of its block that is reached by the tabulator. */
  entry: boolean;
  onPick: WindowGridProps["onPick"];
  onKeyDown: (event: KeyboardEvent<HTMLElement>) => void;
}

function Cell({ window, picked, entry, onPick, onKeyDown }: CellProps) {
  const { word, tone } = statusLook(window.state);
  const reason = window.reason ? `, ${plainTimes(window.reason).replaceAll("`", "")}` : "";
  const about = `${localTime(window.start)}: ${word}${reason}`;
  return (
    <button
      type="button"
      className={`window-cell tone-${tone}`}
      data-state={window.state}
      data-start={window.start}
      tabIndex={entry ? 0 : -1}
      aria-pressed={picked}
      aria-label={about}
      title={about}
      onKeyDown={onKeyDown}
      onClick={(event) => onPick(window, event.shiftKey)}
    >
      {cellText(window)} <span aria-hidden>{sign(window.state)}</span>
    </button>
  );
}
