import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { plural } from "../../../format/number";
import { explain } from "../../../ui/Answer";
import { Command } from "../../../ui/Command";
import { Failure } from "../../../ui/Failure";
import { backfill } from "../queries";

interface BackfillFormProps {
  pipeline: string;
  trigger: string;
  zone: string;
}

/** Asks for the windows of some days: those that have no run yet, and those again that are over. */
export function BackfillForm({ pipeline, trigger, zone }: BackfillFormProps) {
  const client = useQueryClient();
  const [from, setFrom] = useState("");
  const [until, setUntil] = useState("");
  const run = useMutation({
    mutationFn: () => backfill(pipeline, { trigger, from, until: until || from }),
    onSuccess: () => client.invalidateQueries({ queryKey: ["windows", pipeline] }),
  });
  return (
    <form
      className="stack"
      aria-label="backfill"
      onSubmit={(event) => {
        event.preventDefault();
        run.mutate();
      }}
    >
      <div className="row">
        <label className="row">
          From
          <input
            className="input"
            type="date"
            required
            value={from}
            onChange={(event) => setFrom(event.target.value)}
          />
        </label>
        <label className="row">
          to
          <input
            className="input"
            type="date"
            min={from}
            value={until}
            onChange={(event) => setUntil(event.target.value)}
          />
        </label>
        <span className="muted small">days in {zone}</span>
        <button type="submit" className="button" disabled={run.isPending || from === ""}>
          Run these windows
        </button>
        {run.data && <span className="small">{plural(run.data.windows, "window")} asked for.</span>}
      </div>
      {run.error && <Failure problem={explain(run.error)} />}
      {from && (
        <Command line={`millrace backfill ${pipeline} --trigger ${trigger} --from ${from} --to ${until || from}`} />
      )}
    </form>
  );
}
