import { type Tone, statusLook } from "../../ui/statusLook";

interface RunStripProps {
  /** Newest last. */
  runs: { id: string; status: string; label: string }[];
  onOpen?: (id: string) => void;
}

const HEIGHTS: Record<Tone, number> = { ok: 10, bad: 18, run: 14, warn: 14, idle: 6 };

/** The last runs as small bars: colour and height both tell the state. */
export function RunStrip({ runs, onOpen }: RunStripProps) {
  return (
    <div style={{ display: "flex", gap: 2, alignItems: "flex-end", height: 20 }} role="group" aria-label="last runs">
      {runs.map((run) => {
        const { tone, word } = statusLook(run.status);
        const title = `${word}, ${run.label}`;
        return (
          <button
            key={run.id}
            type="button"
            title={title}
            aria-label={title}
            onClick={() => onOpen?.(run.id)}
            style={{
              width: 7,
              height: 20,
              padding: 0,
              border: 0,
              background: "none",
              cursor: "pointer",
              display: "flex",
              alignItems: "flex-end",
            }}
          >
            <span style={{ width: 7, height: HEIGHTS[tone], borderRadius: 1, background: `var(--${tone})` }} />
          </button>
        );
      })}
    </div>
  );
}
