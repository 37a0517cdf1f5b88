import { lazy, Suspense } from "react";
import { Loading } from "../../../ui/Loading";
import type { FlowCanvasProps } from "./FlowCanvas";

const FlowCanvas = lazy(() => import("./FlowCanvas").then((module) => ({ default: module.FlowCanvas })));

/** The canvas, once what draws it has come. */
export function LazyCanvas(props: FlowCanvasProps) {
  return (
    <Suspense fallback={<Loading rows={8} />}>
      <FlowCanvas {...props} />
    </Suspense>
  );
}
