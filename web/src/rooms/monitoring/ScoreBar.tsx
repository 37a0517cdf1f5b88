import { number } from "../../format/number";

interface ScoreBarProps {
  score: number;
  threshold: number;
  top: number;
  drifted: boolean;
}

/** A score as a bar with its threshold as a line. */
export function ScoreBar({ score, threshold, top, drifted }: ScoreBarProps) {
  const share = (value: number) => (top > 0 ? Math.min(1, value / top) * 160 : 0);
  const label = `${number(score)}, threshold ${number(threshold)}`;
  return (
    <svg width={160} height={16} role="img" aria-label={label} style={{ display: "block" }}>
      <title>{label}</title>
      <rect x={0} y={4} width={160} height={8} rx={2} fill="var(--surface-2)" />
      <rect x={0} y={4} width={share(score)} height={8} rx={2} fill={drifted ? "var(--bad)" : "var(--accent)"} />
      <line
        x1={share(threshold)}
        x2={share(threshold)}
        y1={0}
        y2={16}
        stroke="var(--text)"
        strokeWidth={1.5}
        strokeDasharray="3 2"
      />
    </svg>
  );
}
