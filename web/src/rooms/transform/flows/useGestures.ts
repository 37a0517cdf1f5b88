import { useQuery } from "@tanstack/react-query";
import type { FlowEdit, FlowKindView } from "../../../api/types.gen";
import { queryTablesQuery } from "../queries";
import { closesCircle, connected, freshId, ownerOf, readsOf } from "./graph";
import type { Designer } from "./useDesigner";

/** What hands do to a flow, as edits of its text. */
export function useGestures(
  { model, tables, edit, choose }: Designer,
  kinds: readonly FlowKindView[],
  selected: string | null,
  select: (node: string | null) => void,
  locked: boolean,
) {
  const datasets = useQuery(queryTablesQuery()).data ?? [];
  const ids = new Set(model.nodes.map((node) => node.id));
  const find = (id: string) => model.nodes.find((node) => node.id === id);
  /** The first thing that a node gives. */
  const portOf = (id: string) => find(id)?.ports[0]?.name ?? id;
  const run = (edits: FlowEdit[], then?: string | null) => {
    if (locked) return;
    void edit(edits).then(() => then !== undefined && select(then));
  };
  return {
    /** A new node, reading the one that it is put after. */
    add: (kind: string, after: string | null) => {
      if (kind === "source") {
        const unused = datasets.find(({ name }) => !model.sources.includes(name)) ?? datasets[0];
        const source = unused?.name ?? "table";
        const id = freshId(model.nodes, source);
        if (unused && !(source in tables)) choose(source, source);
        run([{ op: "add", id, kind, config: source }], id);
        return;
      }
      const id = freshId(model.nodes, kind);
      const from = after && readsOf(kinds, kind) !== "none" ? [portOf(after)] : [];
      run([{ op: "add", id, kind, from }], id);
    },
    remove: (id: string) => {
      const [before] = find(id)?.from ?? [];
      run([{ op: "remove", id }], before ? ownerOf(ids, before) : null);
    },
    rename: (id: string, to: string) => run([{ op: "rename", id, to }], to),
    configure: (id: string, config: unknown) => run([{ op: "configure", id, config: config as never }]),
    describe: (id: string, text: string) => run([{ op: "describe", id, text }]),
    read: (id: string, from: string[]) => run([{ op: "read", id, from }]),
    /** Why two nodes cannot be connected; null if they are. */
    connect: (port: string, to: string): string | null => {
      const node = find(to);
      if (!node) return null;
      if (closesCircle(model.nodes, ownerOf(ids, port), to)) return `${to} would wait for itself`;
      const from = connected(node, port, readsOf(kinds, node.kind));
      if (!from) return `${to} reads no more nodes`;
      run([{ op: "read", id: to, from }], to);
      return null;
    },
    disconnect: (port: string, to: string) => {
      const node = find(to);
      if (node) run([{ op: "read", id: to, from: node.from.filter((name) => name !== port) }]);
    },
    selected,
  };
}

export type Gestures = ReturnType<typeof useGestures>;
