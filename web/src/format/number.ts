const GROUPED = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** A whole number with thousands set apart: `336,776`. */
export function count(value: number | null | undefined): string {
  return value === null || value === undefined || !Number.isFinite(value) ? "–" : GROUPED.format(value);
}

/** A measured number with four significant digits, thousands set apart from five digits on (2013 may be a year); very large and very small ones in powers of ten. */
export function number(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "∞" : "-∞";
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e7) return size >= 10_000 ? GROUPED.format(value) : String(value);
  if (size >= 1e7 || size < 1e-4) return value.toExponential(2).replace("e+", "e");
  return size >= 10_000 ? GROUPED.format(Math.round(value)) : String(Number(value.toPrecision(4)));
}

/** A share of one as a percentage: `12.3 %`. */
export function percent(share: number | null | undefined): string {
  if (share === null || share === undefined || !Number.isFinite(share)) return "–";
  const value = share * 100;
  return `${Number(value.toPrecision(value >= 10 ? 3 : 2))} %`;
}

/** `1 run`, `2 runs`. */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}
