import type { FlowKindView, FlowModel, FlowNodeView } from "../../../api/types.gen";

export interface FlowEdge {
  /** The node it comes from. */
  from: string;
  /** How the reader names it: the node, or `node.part`. */
  port: string;
  to: string;
  /** Which input of the reader it is, from 0. */
  at: number;
  /** What is written at it: the part, and the side of a node that reads two. */
  label?: string;
}

/** The node behind `node` or `node.part`. */
export function ownerOf(ids: ReadonlySet<string>, port: string): string {
  const dot = port.lastIndexOf(".");
  return ids.has(port) || dot < 0 ? port : port.slice(0, dot);
}

/** The arrows between the nodes that are there. */
export function edgesOf(nodes: readonly FlowNodeView[], kinds: readonly FlowKindView[]): FlowEdge[] {
  const ids = new Set(nodes.map((node) => node.id));
  return nodes.flatMap((node) =>
    node.from.flatMap((port, at) => {
      const from = ownerOf(ids, port);
      if (!ids.has(from)) return [];
      const part = port === from ? undefined : port.slice(from.length + 1);
      const side = readsOf(kinds, node.kind) === "two" ? ["left", "right"][at] : undefined;
      return [{ from, port, to: node.id, at, label: [part, side].filter(Boolean).join(", ") || undefined }];
    }),
  );
}

/** How many nodes a kind reads. */
export function readsOf(kinds: readonly FlowKindView[], kind: string | null): string {
  return kinds.find((known) => known.name === kind)?.reads ?? "one";
}

/** What a node reads once it is connected to one more; null if it cannot be. */
export function connected(node: FlowNodeView, port: string, reads: string): string[] | null {
  if (reads === "none" || node.from.includes(port)) return null;
  if (reads === "one") return [port];
  if (reads === "two") return node.from.length < 2 ? [...node.from, port] : [node.from[0] ?? port, port];
  return [...node.from, port];
}

/** Whether an arrow from one node to another would close a circle. */
export function closesCircle(nodes: readonly FlowNodeView[], from: string, to: string): boolean {
  const ids = new Set(nodes.map((node) => node.id));
  const before = new Map(nodes.map((node) => [node.id, node.from.map((port) => ownerOf(ids, port))]));
  const seen = new Set<string>();
  const left = [from];
  for (let id = left.pop(); id !== undefined; id = left.pop()) {
    if (id === to) return true;
    if (seen.has(id)) continue;
    seen.add(id);
    left.push(...(before.get(id) ?? []));
  }
  return false;
}

/** A name that no node has yet. */
export function freshId(nodes: readonly { id: string }[], wanted: string): string {
  const plain = wanted.replaceAll(/\W+/g, "_").replace(/^_+|_+$/g, "") || "node";
  const taken = new Set(nodes.map((node) => node.id));
  for (let number = 1; ; number += 1) {
    const id = number === 1 ? plain : `${plain}_${number}`;
    if (!taken.has(id)) return id;
  }
}

type Places = ReadonlyMap<string, { x: number; y: number }>;

const TURNS: Record<string, { x: number; y: number }> = {
  ArrowRight: { x: 1, y: 0 },
  ArrowLeft: { x: -1, y: 0 },
  ArrowDown: { x: 0, y: 1 },
  ArrowUp: { x: 0, y: -1 },
};

/** The node that an arrow key leads to: the nearest one in its direction. */
export function neighbour(places: Places, from: string, key: string): string | null {
  const [here, turn] = [places.get(from), TURNS[key]];
  if (!here || !turn) return null;
  let best: { id: string; far: number } | null = null;
  for (const [id, there] of places) {
    const [x, y] = [there.x - here.x, there.y - here.y];
    const along = x * turn.x + y * turn.y;
    const aside = Math.abs(x * turn.y) + Math.abs(y * turn.x);
    // What lies more to the side than ahead is not meant.
    if (along <= 0 || (turn.y !== 0 && aside > along * 3)) continue;
    const far = along + aside * 2;
    if (!best || far < best.far) best = { id, far };
  }
  return best?.id ?? null;
}

/** The columns that a node reads, each once. */
export function columnsBefore(model: FlowModel, node: FlowNodeView): string[] {
  const ports = new Map(model.nodes.flatMap((one) => one.ports.map((port) => [port.name, port.columns] as const)));
  return [...new Set(node.from.flatMap((port) => (ports.get(port) ?? []).map((column) => column.name)))];
}

/** The names of the places where the node's arrows begin; `null` for the only one of a node that isn't split. */
export function partsOf(node: FlowNodeView): readonly (string | null)[] {
  const parts = node.ports.map(({ name }) => name).filter((name) => name !== node.id);
  return parts.length > 0 ? parts : [null];
}
