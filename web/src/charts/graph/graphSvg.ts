import { statusLook } from "../../ui/statusLook";
import { type GraphEdge, type GraphNode, NODE, place } from "./layout";

const RIM = 12;
const PAD = 12;

/** A graph as an SVG text, laid out from left to right; colours are the page's custom properties. */
export function graphSvg(nodes: readonly GraphNode[], edges: readonly GraphEdge[]): string {
  const { places, width, height } = place(nodes, edges, "right");
  const size = { width: Math.ceil(width + 2 * RIM), height: Math.ceil(height + 2 * RIM) };
  const lines = edges.map(({ from, to }) => {
    const [start, end] = [places.get(from), places.get(to)];
    if (!start || !end) return "";
    const [x1, y1, x2, y2] = [start.x + NODE.width, start.y + NODE.height / 2, end.x, end.y + NODE.height / 2];
    const middle = (x1 + x2) / 2;
    return `<path d="M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}" fill="none" stroke="var(--line-strong)"/>`;
  });
  const boxes = nodes.map((node) => box(node, places.get(node.id) ?? { x: 0, y: 0 }));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${size.width}" height="${size.height}" viewBox="0 0 ${size.width} ${size.height}" font-family="sans-serif">`,
    `<g transform="translate(${RIM} ${RIM})">`,
    ...lines,
    ...boxes,
    "</g></svg>",
  ].join("");
}

function box(node: GraphNode, { x, y }: { x: number; y: number }): string {
  const look = node.status ? statusLook(node.status) : null;
  const color = look ? `var(--${look.tone})` : "var(--accent)";
  const total = node.items?.reduce((sum, { count }) => sum + count, 0);
  const kind = total === undefined ? node.kind : `${node.kind} × ${total}`;
  const below = [kind, look?.word ?? node.detail].filter(Boolean).join(" · ");
  return [
    `<rect x="${x}" y="${y}" width="${NODE.width}" height="${NODE.height}" rx="4" fill="var(--surface)" stroke="var(--line-strong)"/>`,
    `<rect x="${x}" y="${y}" width="4" height="${NODE.height}" fill="${color}"/>`,
    text(node.name, x + PAD, y + 23, 'font-size="14" font-weight="600" fill="var(--text)"', 22),
    text(below, x + PAD, y + 42, `font-size="12" fill="${look ? color : "var(--text-2)"}"`, 26),
  ].join("");
}

function text(words: string, x: number, y: number, look: string, most: number): string {
  const cut = words.length > most ? `${words.slice(0, most - 1)}…` : words;
  return `<text x="${x}" y="${y}" ${look}>${cut.replaceAll("&", "&amp;").replaceAll("<", "&lt;")}</text>`;
}
