const WIDTHS = ["62%", "84%", "48%", "71%", "56%", "80%", "40%", "66%"];

/** The outline of what is coming. */
export function Loading({ rows = 5, label = "Loading" }: { rows?: number; label?: string }) {
  return (
    <div className="stack" role="status" aria-label={label} style={{ padding: 12 }}>
      {Array.from({ length: rows }, (_, row) => (
        <div key={row} className="skeleton" style={{ width: WIDTHS[row % WIDTHS.length] }} />
      ))}
    </div>
  );
}
