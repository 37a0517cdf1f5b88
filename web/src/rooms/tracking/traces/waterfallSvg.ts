import { duration } from "../../../format/duration";
import { resolved } from "../../../charts/engine/elementSvg";
import { kindColor } from "./kindLook";
import type { SpanRow } from "./spanTree";

const ROW = 20;
const NAMES = 320;
const TRACK = 640;
/** Lines of the picture; no program opens more with pleasure. */
const MOST = 2_000;

/** The waterfall as a picture of its own, all lines and not only those in sight. */
export function waterfallUrl(rows: readonly SpanRow[], end: number): string {
  const shown = rows.slice(0, MOST);
  const [width, height] = [NAMES + TRACK + 90, shown.length * ROW + 8];
  const x = (ms: number) => NAMES + (ms / Math.max(end, 1e-6)) * TRACK;
  const lines = shown.map(({ span, depth }, index) => {
    const y = index * ROW + 4;
    const length = span.duration_ms ?? end - span.start_ms;
    const bar = `<rect x="${x(span.start_ms)}" y="${y + 4}" width="${Math.max(1, x(length) - NAMES)}" height="12" rx="2" fill="${kindColor(span.kind, span.status)}"/>`;
    const name = `<text x="${8 + Math.min(depth, 16) * 12}" y="${y + 14}" fill="var(--text)">${escaped(span.name.slice(0, 44))}</text>`;
    return `${name}${bar}<text x="${NAMES + TRACK + 8}" y="${y + 14}" fill="var(--text-2)">${duration(span.duration_ms)}</text>`;
  });
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="system-ui, sans-serif" font-size="12">${lines.join("")}</svg>`;
  return `data:image/svg+xml;charset=utf-8,${encodeURIComponent(resolved(svg))}`;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
