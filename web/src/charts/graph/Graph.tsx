import { lazy, Suspense, useState } from "react";
import { Loading } from "../../ui/Loading";
import { resolved } from "../engine/elementSvg";
import { ExportMenu } from "../engine/ExportMenu";
import { GraphList } from "./GraphList";
import type { GraphEdge, GraphNode } from "./layout";

const Canvas = lazy(() => import("./Canvas").then((module) => ({ default: module.Canvas })));

interface GraphProps {
  nodes: GraphNode[];
  edges: GraphEdge[];
  selected?: string | null;
  onSelect?: (id: string) => void;
  label: string;
}

/** A graph as a picture, and the same as a list for those who read or use the keyboard. */
export function Graph(props: GraphProps) {
  const [view, setView] = useState<"picture" | "list">(crowded(props.nodes.length) ? "list" : "picture");
  return (
    <div>
      <div
        className="row"
        style={{ padding: 6, justifyContent: "flex-end" }}
        role="group"
        aria-label="view of the graph"
      >
        {(["picture", "list"] as const).map((choice) => (
          <button
            key={choice}
            type="button"
            className="button"
            aria-pressed={view === choice}
            onClick={() => setView(choice)}
          >
            {choice === "picture" ? "Graph" : "List"}
          </button>
        ))}
        <ExportMenu title={props.label} data={data(props)} draw={() => draw(props)} />
      </div>
      {view === "list" ? (
        <GraphList {...props} />
      ) : (
        <Suspense fallback={<Loading rows={6} />}>
          <Canvas {...props} />
        </Suspense>
      )}
    </div>
  );
}

/** Whether a picture would have letters that nobody can read. */
const crowded = (nodes: number) => nodes > 300 || (nodes > 8 && window.innerWidth < 600);

/** The graph as a picture of its own, drawn when it is asked for. */
async function draw({ nodes, edges }: GraphProps): Promise<string> {
  const { graphSvg } = await import("./graphSvg");
  return `data:image/svg+xml;charset=utf-8,${encodeURIComponent(resolved(graphSvg(nodes, edges)))}`;
}

function data({ nodes, edges }: GraphProps) {
  const needs = (id: string) => edges.filter((edge) => edge.to === id).map((edge) => edge.from);
  return {
    columns: ["id", "name", "kind", "status", "needs"],
    rows: nodes.map((node) => [node.id, node.name, node.kind, node.status, needs(node.id).join(" ")]),
  };
}
