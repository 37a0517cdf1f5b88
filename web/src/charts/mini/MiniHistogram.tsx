interface MiniHistogramProps {
  counts: readonly number[];
  label: string;
  width?: number;
  height?: number;
}

/** A column's shape in a table header. */
export function MiniHistogram({ counts, label, width = 84, height = 22 }: MiniHistogramProps) {
  const top = Math.max(...counts, 1);
  const step = width / Math.max(counts.length, 1);
  return (
    <svg width={width} height={height} role="img" aria-label={label} style={{ display: "block" }}>
      <title>{label}</title>
      {counts.map((value, index) => {
        const size = value === 0 ? 0 : Math.max(1, (value / top) * (height - 1));
        const gap = step > 3 ? 1 : 0;
        // oxlint-disable-next-line react/no-array-index-key
        return (
          <rect key={index} x={index * step} y={height - size} width={step - gap} height={size} fill="var(--accent)" />
        );
      })}
    </svg>
  );
}
