import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { plural } from "../../../format/number";
import { Confirm } from "../../../ui/Confirm";
import { Failure } from "../../../ui/Failure";
import { cancelRuns } from "../queries";

interface CancelRunsProps {
  /** Runs of the list that still go on. */
  open: string[];
  /** Those of them that were picked; all of them are meant if none was. */
  picked: string[];
  onDone: () => void;
}

/** Ends several runs, after asking. */
export function CancelRuns({ open, picked, onDone }: CancelRunsProps) {
  const [asking, setAsking] = useState(false);
  const client = useQueryClient();
  const runs = picked.length > 0 ? picked : open;
  const cancel = useMutation({
    mutationFn: () => cancelRuns(runs),
    onSuccess: async (done) => {
      await client.invalidateQueries({ queryKey: ["runs"] });
      if (done.failed.length > 0) return;
      setAsking(false);
      onDone();
    },
  });
  const words = plural(runs.length, "run");
  return (
    <>
      <button type="button" className="button" onClick={() => setAsking(true)}>
        Cancel {picked.length > 0 || open.length === 1 ? words : `all ${words}`}
      </button>
      {asking && (
        <Confirm
          title={`Cancel ${words}?`}
          action={`Cancel ${words}`}
          busy={cancel.isPending}
          error={cancel.error}
          onConfirm={() => cancel.mutate()}
          onClose={() => {
            cancel.reset();
            setAsking(false);
          }}
        >
          <p>
            {picked.length > 0 ? "Those that are picked" : "All on this page that still go on"} are asked to end. What
            they did so far stays; programs get 30 seconds to stop.
          </p>
          {cancel.data?.failed.map(({ run, problem }) => (
            <Failure key={run} problem={problem} />
          ))}
        </Confirm>
      )}
    </>
  );
}
