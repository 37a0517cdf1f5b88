import type { WindowView } from "../../../api/types.gen";
import { statusLook } from "../../../ui/statusLook";
import { cellText, grid, sign } from "./grid";

interface WindowGridProps {
  windows: WindowView[];
  /** The range that is picked. */
  picked: { from: string; until: string } | null;
  onPick: (window: WindowView, extend: boolean) => void;
}

const WEEKDAYS = ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"];

/** The states of windows as a calendar. A click picks a window, with Shift the range up to it. */
export function WindowGrid({ windows, picked, onPick }: WindowGridProps) {
  return (
    <div className="window-grid">
      {grid(windows).map(({ label, columns, cells }) => (
        <section key={label} aria-label={label}>
          <h3 className="small">{label}</h3>
          <div className="window-cells" style={{ gridTemplateColumns: `repeat(${columns}, minmax(34px, max-content))` }}>
            {columns === 7 &&
              cells.length > 7 &&
              WEEKDAYS.map((day) => (
                <span key={day} className="muted small" aria-hidden>
                  {day}
                </span>
              ))}
            {cells.map((window, place) =>
              window ? (
                <Cell key={window.start} window={window} picked={isPicked(window, picked)} onPick={onPick} />
              ) : (
                <span key={`${label}-${place}`} />
              ),
            )}
          </div>
        </section>
      ))}
    </div>
  );
}

function isPicked(window: WindowView, picked: WindowGridProps["picked"]): boolean {
  return picked !== null && window.start >= picked.from && window.end <= picked.until;
}

function Cell({ window, picked, onPick }: { window: WindowView; picked: boolean; onPick: WindowGridProps["onPick"] }) {
  const { word, tone } = statusLook(window.state);
  const about = `${window.start.slice(0, 16).replace("T", " ")}: ${word}${window.reason ? `, ${window.reason}` : ""}`;
  return (
    <button
      type="button"
      className={`window-cell tone-${tone}`}
      data-state={window.state}
      aria-pressed={picked}
      aria-label={about}
      title={about}
      onClick={(event) => onPick(window, event.shiftKey)}
    >
      {cellText(window)} <span aria-hidden>{sign(window.state)}</span>
    </button>
  );
}
