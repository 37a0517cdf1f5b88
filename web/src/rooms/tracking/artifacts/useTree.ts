import { useQueries, useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { join } from "./addresses";
import { folderQuery } from "./queries";
import { foldersAbove, type Listing, treeRows } from "./tree";

/** The tree below a folder of the artifact store; a folder is read when it is opened. */
export function useTree(root: string, file: string | undefined) {
  const [open, setOpen] = useState<ReadonlySet<string>>(() => new Set(file ? foldersAbove(file) : []));
  const [shown, setShown] = useState(file);
  if (file !== shown) {
    // A file that is linked to from elsewhere is to be seen in the tree.
    setShown(file);
    if (file) setOpen(new Set([...open, ...foldersAbove(file)]));
  }
  const top = useQuery(folderQuery(root));
  const folders = useMemo(() => [...open], [open]);
  const inner = useQueries({ queries: folders.map((folder) => folderQuery(join(root, folder))) });
  const rows = useMemo(() => {
    const known = new Map<string, Listing>(
      folders.map((folder, index) => [folder, inner[index]?.data ?? (inner[index]?.isError ? "failed" : "loading")]),
    );
    return treeRows((folder) => (folder === "" ? (top.data ?? []) : (known.get(folder) ?? "loading")), open);
  }, [top.data, inner, folders, open]);
  const toggle = (folder: string) => {
    const next = new Set(open);
    if (!next.delete(folder)) next.add(folder);
    setOpen(next);
  };
  return { top, rows, toggle };
}
