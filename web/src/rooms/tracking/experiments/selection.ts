/** Runs that can be compared at once; what the server answers about in one question. */
export const MOST_SELECTED = 100;

/** The selection with a run more or less; the run that was selected first makes room. */
export function toggled(selected: readonly string[], id: string): string[] {
  if (selected.includes(id)) return selected.filter((entry) => entry !== id);
  return [...selected, id].slice(-MOST_SELECTED);
}
