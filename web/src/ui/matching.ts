/** Whether a text has every word of the search in it, in any order and case. */
export function matches(text: string, search: string): boolean {
  const lower = text.toLowerCase();
  return search
    .toLowerCase()
    .split(/\s+/)
    .filter(Boolean)
    .every((word) => lower.includes(word));
}

/** The names that have every word of the search in them, in any order and case. */
export function matching(names: readonly string[], search: string): string[] {
  return names.filter((name) => matches(name, search));
}
