import type { ArtifactFile } from "../../../api/types.gen";

/** A line of the tree. */
export interface TreeRow {
  /** Relative to the root. */
  path: string;
  name: string;
  depth: number;
  folder: boolean;
  open: boolean;
  size: number | null;
  /** What stands in place of an entry: the folder is being read, is empty, or could not be read. */
  note?: "loading" | "empty" | "failed";
}

/** What is known of a folder: its entries, or that they are not there yet. */
export type Listing = readonly ArtifactFile[] | "loading" | "failed";

/** The lines of a tree whose open folders are read; folders first, then by name. */
export function treeRows(listing: (folder: string) => Listing, open: ReadonlySet<string>): TreeRow[] {
  const rows: TreeRow[] = [];
  const add = (folder: string, depth: number) => {
    const found = listing(folder);
    if (typeof found === "string" || found.length === 0) {
      const note = typeof found === "string" ? found : "empty";
      rows.push({ path: `${folder}/`, name: "", depth, folder: false, open: false, size: null, note });
      return;
    }
    for (const { path: name, is_dir, size_bytes } of sorted(found)) {
      const path = folder === "" ? name : `${folder}/${name}`;
      rows.push({ path, name, depth, folder: is_dir, open: is_dir && open.has(path), size: size_bytes });
      if (is_dir && open.has(path)) add(path, depth + 1);
    }
  };
  add("", 0);
  return rows;
}

const ORDER = new Intl.Collator("en", { numeric: true });

function sorted(files: readonly ArtifactFile[]): ArtifactFile[] {
  return files.toSorted((a, b) => Number(b.is_dir) - Number(a.is_dir) || ORDER.compare(a.path, b.path));
}

/** The folders that a path lies in, the outermost first. */
export function foldersAbove(path: string): string[] {
  const parts = path.split("/").slice(0, -1);
  return parts.map((_, index) => parts.slice(0, index + 1).join("/"));
}
