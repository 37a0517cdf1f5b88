import { getViewportForBounds } from "@xyflow/react";
import { NODE } from "../../../charts/graph/layout";

/** Height of the canvas, pixels. */
export const HEIGHT = 420;
export const LEAST_ZOOM = 0.15;
/** Below this zoom the words of a node are hard to read. */
export const READABLE = 0.62;
const RIM = 24;

type Places = ReadonlyMap<string, { x: number; y: number }>;

/** Where one looks at the whole flow from. */
export function overview(places: Places, width: number) {
  const all = [...places.values()];
  if (all.length === 0) return { x: 0, y: 0, zoom: 1 };
  const [left, top] = [Math.min(...all.map(({ x }) => x)), Math.min(...all.map(({ y }) => y))];
  const right = Math.max(...all.map(({ x }) => x + NODE.width));
  const bottom = Math.max(...all.map(({ y }) => y + NODE.height));
  const bounds = { x: left, y: top, width: right - left, height: bottom - top };
  return getViewportForBounds(bounds, width, HEIGHT, LEAST_ZOOM, 1, 0.06);
}

/** Where one looks from at first: at all of it if that can be read, else at the chosen node or the beginning. */
export function lookAt(places: Places, width: number, node: string | null) {
  const whole = overview(places, width);
  if (whole.zoom >= READABLE) return whole;
  const chosen = node === null ? undefined : places.get(node);
  const first = chosen ?? [...places.values()].toSorted((a, b) => a.x - b.x || a.y - b.y)[0] ?? { x: 0, y: 0 };
  const across = chosen ? width / 2 : RIM + (NODE.width / 2) * READABLE;
  return {
    x: across - (first.x + NODE.width / 2) * READABLE,
    y: HEIGHT / 2 - (first.y + NODE.height / 2) * READABLE,
    zoom: READABLE,
  };
}

/** Whether a node is in sight. */
export function isSeen(
  { x, y }: { x: number; y: number },
  view: { x: number; y: number; zoom: number },
  width: number,
) {
  const [left, top] = [x * view.zoom + view.x, y * view.zoom + view.y];
  return left >= 0 && top >= 0 && left + NODE.width * view.zoom <= width && top + NODE.height * view.zoom <= HEIGHT;
}
