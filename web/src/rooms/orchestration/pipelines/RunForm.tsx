import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import type { PipelineView } from "../../../api/types.gen";
import { ValuesForm } from "../../../forms/ValuesForm";
import { explain } from "../../../ui/Answer";
import { Command } from "../../../ui/Command";
import { Failure } from "../../../ui/Failure";
import { startRun } from "../queries";
import { runCommand } from "./runCommand";

/** Asks for the pipeline's inputs, starts it and opens the run. */
export function RunForm({ pipeline }: { pipeline: PipelineView }) {
  const navigate = useNavigate();
  const client = useQueryClient();
  const [values, setValues] = useState<Record<string, unknown>>({});
  const start = useMutation({
    mutationFn: (inputs: Record<string, unknown>) => startRun(pipeline.name, inputs),
    onSuccess: async (run) => {
      await client.invalidateQueries({ queryKey: ["runs", "list"] });
      await navigate({ to: "/runs/$run", params: { run: run.id } });
    },
  });
  const invalid = pipeline.problems.some((problem) => problem.severity === "error");
  return (
    <div className="stack">
      {pipeline.inputs.length === 0 && <p className="muted">This pipeline takes no inputs.</p>}
      <ValuesForm
        fields={pipeline.inputs}
        submit="Run"
        busy={start.isPending || invalid}
        label={`inputs of ${pipeline.name}`}
        onSubmit={(inputs) => start.mutate(inputs)}
        onValues={setValues}
      />
      {start.error && <Failure problem={explain(start.error)} />}
      <Command line={runCommand(pipeline.name, values)} />
    </div>
  );
}
