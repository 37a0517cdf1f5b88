import { useNavigate } from "@tanstack/react-router";
import type { PipelineView } from "../../../api/types.gen";
import { Graph } from "../../../charts/graph/Graph";

/** The steps of a pipeline; a step opens in the newest run. */
export function PipelineGraph({ pipeline }: { pipeline: PipelineView }) {
  const navigate = useNavigate();
  const last = pipeline.recent_runs[0];
  const nodes = pipeline.steps.map((step) => ({
    id: step.id,
    name: step.id,
    kind: step.kind,
    detail: step.finally ? "finally" : (step.condition ?? undefined),
  }));
  const edges = pipeline.steps.flatMap((step) => step.needs.map((need) => ({ from: need, to: step.id })));
  const open = (step: string) => {
    if (last) void navigate({ to: "/runs/$run", params: { run: last.id }, search: { step } });
  };
  return <Graph nodes={nodes} edges={edges} onSelect={open} label={`steps of ${pipeline.name}`} />;
}
