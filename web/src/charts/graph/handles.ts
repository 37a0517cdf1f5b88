import { type NodeHandle, Position } from "@xyflow/react";
import { NODE } from "./layout";

export interface Ends {
  direction: "right" | "down";
  /** Arrows end at it. */
  reads: boolean;
  /** The names of the places where arrows begin, side by side; `null` for the only one. */
  ports: readonly (string | null)[];
}

/**
 * Where arrows begin and end, told rather than measured: a node is never hidden until it has been measured, and no arrow is lost when nodes
 * are made anew before they were measured again.
 */
export function handlesOf({ direction, reads, ports }: Ends): NodeHandle[] {
  const right = direction === "right";
  const { width, height } = NODE;
  const size = { width: 1, height: 1 };
  const target: NodeHandle = right
    ? { ...size, type: "target", position: Position.Left, x: 0, y: height / 2 }
    : { ...size, type: "target", position: Position.Top, x: width / 2, y: 0 };
  const sources = ports.map((id, at): NodeHandle => {
    const along = portShare(at, ports.length);
    return right
      ? { ...size, id, type: "source", position: Position.Right, x: width, y: height * along }
      : { ...size, id, type: "source", position: Position.Bottom, x: width * along, y: height };
  });
  return reads ? [target, ...sources] : sources;
}

/** Where on its side, of 0 to 1, the port `at` of `count` is. */
export function portShare(at: number, count: number): number {
  return (at + 1) / (count + 1);
}
