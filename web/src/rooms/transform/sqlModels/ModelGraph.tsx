import { useNavigate } from "@tanstack/react-router";
import type { SqlModels } from "../../../api/types.gen";
import { Graph } from "../../../charts/graph/Graph";
import { modelGraph } from "./modelGraph";

interface ModelGraphProps {
  models: SqlModels;
  /** The model that is looked at; only what it has to do with is shown. */
  around?: string;
}

/** Models and their sources as a graph; a click leads to what was clicked. */
export function ModelGraph({ models, around }: ModelGraphProps) {
  const navigate = useNavigate();
  const { nodes, edges } = modelGraph(models, around);
  const open = (id: string) => {
    if (id !== around && models.models.some((model) => model.name === id))
      void navigate({ to: "/sql-models/$name", params: { name: id } });
    const from = models.sources.find((source) => source.name === id)?.from;
    if (from?.startsWith("data:")) void navigate({ to: "/data/$name", params: { name: from.slice("data:".length) } });
  };
  return (
    <Graph
      nodes={nodes}
      edges={edges}
      selected={around ?? null}
      onSelect={open}
      label={around ? `what ${around} reads and is read by` : "SQL models"}
    />
  );
}
