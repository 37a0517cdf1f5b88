/** Milliseconds that are left if it goes on as it went; nothing is known before a hundredth is done. */
export function left(took: number, fraction: number): number | null {
  return fraction < 0.01 || fraction > 1 ? null : (took * (1 - fraction)) / fraction;
}
