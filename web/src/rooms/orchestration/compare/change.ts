/** How much more or less the first is than the second: `+25 %`, `×3.1`; `null` where it cannot be said or is the same. */
export function change(a: number | null | undefined, b: number | null | undefined): string | null {
  if (a === null || a === undefined || b === null || b === undefined || a === b) return null;
  if (b === 0) return null;
  const ratio = a / b;
  if (ratio >= 2) return `×${ratio < 10 ? ratio.toFixed(1) : Math.round(ratio)}`;
  const percent = (ratio - 1) * 100;
  const digits = Math.abs(percent) < 9.95 ? 1 : 0;
  const shown = percent.toFixed(digits);
  if (Number(shown) === 0) return null;
  return `${percent > 0 ? "+" : "−"}${shown.replace("-", "")} %`;
}
