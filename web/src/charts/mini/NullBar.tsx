import { count, percent } from "../../format/number";

/** The share of a column that is null. */
export function NullBar({ nulls, rows, width = 84 }: { nulls: number; rows: number; width?: number }) {
  const share = rows === 0 ? 0 : nulls / rows;
  const label = nulls === 0 ? "no nulls" : `${count(nulls)} nulls, ${percent(share)}`;
  return (
    <svg width={width} height={4} role="img" aria-label={label} style={{ display: "block", marginTop: 2 }}>
      <title>{label}</title>
      <rect width={width} height={4} rx={1} fill="var(--line)" />
      <rect width={share === 0 ? 0 : Math.max(2, share * width)} height={4} rx={1} fill="var(--bad)" />
    </svg>
  );
}
