import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import type { RunSummary } from "../../../api/types.gen";
import { explain } from "../../../ui/Answer";
import { Failure } from "../../../ui/Failure";
import { cancelRun, holdRun, isOver } from "../queries";
import { useRerun } from "./useRerun";

/** What can be done about a run: while it goes on, hold it or end it; then, run it again. */
export function RunActions({ run }: { run: RunSummary }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const onSuccess = () => client.invalidateQueries({ queryKey: ["runs"] });
  const cancel = useMutation({ mutationFn: () => cancelRun(run.id), onSuccess });
  const hold = useMutation({ mutationFn: (on: boolean) => holdRun(run.id, on), onSuccess });
  const again = useRerun(run.id, (started) => void navigate({ to: "/runs/$run", params: { run: started } }));
  const failed = cancel.error ?? hold.error ?? again.error;
  return (
    <>
      {isOver(run.status) ? (
        <>
          {run.status !== "succeeded" && (
            <button
              type="button"
              className="button"
              disabled={again.isPending}
              title="what succeeded is taken over"
              onClick={() => again.mutate("failed")}
            >
              Rerun what failed
            </button>
          )}
          <button type="button" className="button" disabled={again.isPending} onClick={() => again.mutate("all")}>
            Run again
          </button>
        </>
      ) : (
        <>
          <button
            type="button"
            className="button"
            disabled={hold.isPending}
            title={run.paused ? "its steps begin again" : "what runs goes on, nothing more begins"}
            onClick={() => hold.mutate(!run.paused)}
          >
            {run.paused ? "Resume" : "Pause"}
          </button>
          <button type="button" className="button" disabled={cancel.isPending} onClick={() => cancel.mutate()}>
            Cancel
          </button>
        </>
      )}
      {failed && <Failure problem={explain(failed)} />}
    </>
  );
}
