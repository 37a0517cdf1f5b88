import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import type { TrackedRun } from "../../../api/types.gen";
import { Answer, explain } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { Failure } from "../../../ui/Failure";
import { PurgeDialog } from "./PurgeDialog";
import { deleteRuns, purgeRuns, renewAll, restoreRuns, runLifecycleQuery } from "./queries";
import { StorageFacts } from "./StorageFacts";

/** What a run takes, and how it is deleted. */
export function RunLife({ run }: { run: TrackedRun }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const life = useQuery(runLifecycleQuery(run.id));
  const [purging, setPurging] = useState(false);
  const done = { onSuccess: () => renewAll(client) };
  const remove = useMutation({ mutationFn: () => deleteRuns([run.id]), ...done });
  const restore = useMutation({ mutationFn: () => restoreRuns([run.id]), ...done });
  const error = remove.error ?? restore.error;
  return (
    <Card title="Storage">
      <Answer query={life} rows={3}>
        {(found) => (
          <div className="stack">
            {found.deleted && <p className="wrong">This run is deleted.</p>}
            <StorageFacts storage={found.storage} />
            <div className="row">
              {found.deleted ? (
                <>
                  <button
                    type="button"
                    className="button"
                    disabled={restore.isPending}
                    onClick={() => restore.mutate()}
                  >
                    Restore
                  </button>
                  <button type="button" className="button danger" onClick={() => setPurging(true)}>
                    Delete for good
                  </button>
                </>
              ) : (
                <button type="button" className="button" disabled={remove.isPending} onClick={() => remove.mutate()}>
                  Delete the run
                </button>
              )}
            </div>
            {Boolean(error) && <Failure problem={explain(error)} />}
          </div>
        )}
      </Answer>
      {purging && (
        <PurgeDialog
          title={`Delete the run ${run.name} for good?`}
          of={`runs ${run.id}`}
          purge={(dryRun) => purgeRuns([run.id], dryRun)}
          onClose={() => setPurging(false)}
          onDone={() => void navigate({ to: "/experiments/$experiment", params: { experiment: run.experiment_id } })}
        />
      )}
    </Card>
  );
}
