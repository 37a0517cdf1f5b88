import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import type { ExperimentLifecycle } from "../../../api/types.gen";
import { Answer, explain } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { Failure } from "../../../ui/Failure";
import { DeletedRuns } from "./DeletedRuns";
import { PurgeDialog } from "./PurgeDialog";
import {
  deleteExperiment,
  experimentLifecycleQuery,
  purgeExperiment,
  renameExperiment,
  renewAll,
  restoreExperiment,
  retentionQuery,
} from "./queries";
import { RetentionForm } from "./RetentionForm";
import { StorageFacts } from "./StorageFacts";

/** What an experiment takes, for how long its runs are kept, and how it is deleted. */
export function ExperimentLife({ experiment }: { experiment: string }) {
  const life = useQuery(experimentLifecycleQuery(experiment));
  const retention = useQuery(retentionQuery(experiment));
  return (
    <>
      {!life.data?.deleted && <DeletedRuns experiment={experiment} />}
      <div className="cards">
        <Card title="Storage">
          <Answer query={life} rows={4}>
            {(found) => (
              <div className="stack">
                <StorageFacts storage={found.storage} />
                {found.id !== "0" && <Actions key={found.name} life={found} />}
              </div>
            )}
          </Answer>
        </Card>
        <Card title="Retention">
          <Answer query={retention} rows={4}>
            {(view) => <RetentionForm experiment={experiment} view={view} />}
          </Answer>
        </Card>
      </div>
    </>
  );
}

function Actions({ life }: { life: ExperimentLifecycle }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const [purging, setPurging] = useState(false);
  const [name, setName] = useState(life.name);
  const done = { onSuccess: () => renewAll(client) };
  const remove = useMutation({ mutationFn: () => deleteExperiment(life.id), ...done });
  const restore = useMutation({ mutationFn: () => restoreExperiment(life.id), ...done });
  const rename = useMutation({ mutationFn: () => renameExperiment(life.id, name.trim()), ...done });
  const error = remove.error ?? restore.error ?? rename.error;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    rename.mutate();
  };
  return (
    <>
      <form className="row" onSubmit={submit}>
        <input
          className="input"
          style={{ flex: 1, minWidth: 120 }}
          aria-label="Name of the experiment"
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
        <button type="submit" className="button" disabled={!name.trim() || name === life.name || rename.isPending}>
          Rename
        </button>
      </form>
      <div className="row">
        {life.deleted ? (
          <>
            <button type="button" className="button" disabled={restore.isPending} onClick={() => restore.mutate()}>
              Restore
            </button>
            <button type="button" className="button danger" onClick={() => setPurging(true)}>
              Delete for good
            </button>
          </>
        ) : (
          <button type="button" className="button" disabled={remove.isPending} onClick={() => remove.mutate()}>
            Delete the experiment
          </button>
        )}
      </div>
      {Boolean(error) && <Failure problem={explain(error)} />}
      {purging && (
        <PurgeDialog
          title={`Delete the experiment ${life.name} for good?`}
          of={`experiment ${life.id}`}
          purge={(dryRun) => purgeExperiment(life.id, dryRun)}
          onClose={() => setPurging(false)}
          onDone={() => void navigate({ to: "/experiments" })}
        />
      )}
    </>
  );
}
