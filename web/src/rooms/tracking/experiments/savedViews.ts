import type { ExperimentSearch } from "../search";

/** A table and its charts under a name, kept by this browser. */
export interface SavedView {
  name: string;
  search: ExperimentSearch;
}

const place = (experiment: string) => `millrace.views.${experiment}`;

/** The views of an experiment; none if the browser keeps nothing or what it kept cannot be read. */
export function readViews(experiment: string, storage: Pick<Storage, "getItem"> = localStorage): SavedView[] {
  try {
    const kept: unknown = JSON.parse(storage.getItem(place(experiment)) ?? "[]");
    return Array.isArray(kept) ? kept.filter(isView) : [];
  } catch {
    return [];
  }
}

/** Keeps the views; false if the browser refuses. */
export function writeViews(
  experiment: string,
  views: readonly SavedView[],
  storage: Pick<Storage, "setItem"> = localStorage,
): boolean {
  try {
    storage.setItem(place(experiment), JSON.stringify(views));
    return true;
  } catch {
    return false;
  }
}

/** The views with one more; one of the same name is replaced. */
export function withView(views: readonly SavedView[], view: SavedView): SavedView[] {
  return [...views.filter(({ name }) => name !== view.name), view].toSorted((a, b) => a.name.localeCompare(b.name));
}

function isView(entry: unknown): entry is SavedView {
  if (typeof entry !== "object" || entry === null) return false;
  return "name" in entry && typeof entry.name === "string" && "search" in entry && typeof entry.search === "object";
}
