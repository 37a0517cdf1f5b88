import { useMutation, useQuery } from "@tanstack/react-query";
import { useId, useState } from "react";
import { Answer, explain } from "../../../ui/Answer";
import { CodeView } from "../../../ui/CodeView";
import { Command } from "../../../ui/Command";
import { Failure } from "../../../ui/Failure";
import { copyRowsQuery, startCopy } from "../queries";
import { type CopyConfig, nameOf } from "./config";
import { CopyProgress } from "./CopyProgress";

interface ReviewStepProps {
  config: CopyConfig;
  run?: string;
  onRun: (run: string) => void;
}

/** The pipeline and the command that were put together, and the run. */
export function ReviewStep({ config, run, onRun }: ReviewStepProps) {
  const id = useId();
  const [typed, setTyped] = useState<string | null>(null);
  const name = typed ?? nameOf(config);
  const look = useQuery(copyRowsQuery(config, Boolean(config.from && config.to)));
  const start = useMutation({
    mutationFn: () => startCopy({ name: name.trim(), copy: config as never }),
    onSuccess: (started) => onRun(started.id),
  });
  if (!config.from || !config.to) return <p className="muted">Choose a source and a destination first.</p>;
  return (
    <Answer query={look} rows={8}>
      {({ yaml, command, problem }) => (
        <div className="stack">
          {problem && <Failure problem={problem} />}
          <CodeView text={yaml} language="yaml" label={`pipelines/${name}.yaml`} />
          {command && <Command line={command} />}
          <div className="row" style={{ alignItems: "flex-end" }}>
            <div className="field">
              <label htmlFor={id}>Name of the pipeline</label>
              <input id={id} className="input mono" value={name} onChange={(event) => setTyped(event.target.value)} />
            </div>
            <button
              type="button"
              className="button primary"
              disabled={start.isPending || name.trim() === "" || problem !== null}
              onClick={() => start.mutate()}
            >
              {start.isPending ? "Starting…" : "Save and run"}
            </button>
          </div>
          {start.error && <Failure problem={explain(start.error)} />}
          {run && <CopyProgress run={run} />}
        </div>
      )}
    </Answer>
  );
}
