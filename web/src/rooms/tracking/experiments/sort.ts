import { list, words } from "../search";

export interface SortPlace {
  descending: boolean;
  /** From 1; null if there is no other. */
  place: number | null;
}

/** How a column takes part in a sort; null if it does not. */
export function sortPlace(sort: string | undefined, key: string): SortPlace | null {
  const parts = words(sort);
  const at = parts.findIndex((part) => part === key || part === `-${key}`);
  if (at < 0) return null;
  return { descending: parts[at] !== key, place: parts.length > 1 ? at + 1 : null };
}

/** The next sort of a column: descending, ascending, none; `add` keeps the others before it. */
export function nextSort(sort: string | undefined, key: string, add = false): string | undefined {
  const parts = words(sort);
  const now = parts.find((part) => part === key || part === `-${key}`);
  const next = now === undefined ? `-${key}` : now === key ? undefined : key;
  if (!add) return next;
  if (now === undefined) return list([...parts, `-${key}`]);
  return list(parts.flatMap((part) => (part === now ? (next ?? []) : part)));
}
