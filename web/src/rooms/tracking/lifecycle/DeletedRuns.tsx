import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { count, plural } from "../../../format/number";
import { Ago } from "../../../ui/Ago";
import { explain } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { DataTable } from "../../../ui/DataTable";
import { Failure } from "../../../ui/Failure";
import { PurgeDialog } from "./PurgeDialog";
import { deletedRunsQuery, purgeRuns, renewAll, restoreRuns } from "./queries";

/** Deleted runs of an experiment, the newest of them; nothing if there is none. */
export function DeletedRuns({ experiment }: { experiment: string }) {
  const client = useQueryClient();
  const deleted = useQuery(deletedRunsQuery(experiment)).data;
  const [purged, setPurged] = useState<string[]>([]);
  const restore = useMutation({ mutationFn: restoreRuns, onSuccess: () => renewAll(client) });
  if (!deleted || deleted.total === 0) return null;
  const shown = deleted.runs.map((run) => run.id);
  return (
    <Card
      title={`${plural(deleted.total, "deleted run")}`}
      actions={
        <button type="button" className="button danger" onClick={() => setPurged(shown)}>
          Delete {shown.length < deleted.total ? `these ${count(shown.length)}` : "all"} for good
        </button>
      }
      flush
    >
      {restore.error && <Failure problem={explain(restore.error)} />}
      <DataTable
        label="deleted runs"
        rows={deleted.runs}
        rowKey={(run) => run.id}
        columns={[
          {
            key: "name",
            header: "Name",
            value: (run) => run.name,
            cell: (run) => (
              <Link to="/tracked/$run" params={{ run: run.id }}>
                {run.name}
              </Link>
            ),
          },
          {
            key: "started",
            header: "Started",
            value: (run) => run.start_time,
            cell: (run) => <Ago at={run.start_time} />,
          },
          {
            key: "actions",
            header: "",
            value: () => "",
            cell: (run) => (
              <span className="row" style={{ justifyContent: "flex-end", flexWrap: "nowrap" }}>
                <button
                  type="button"
                  className="button"
                  disabled={restore.isPending}
                  onClick={() => restore.mutate([run.id])}
                >
                  Restore
                </button>
                <button type="button" className="button danger" onClick={() => setPurged([run.id])}>
                  Delete for good
                </button>
              </span>
            ),
          },
        ]}
      />
      {purged.length > 0 && (
        <PurgeDialog
          title={`Delete ${plural(purged.length, "run")} for good?`}
          of={`runs ${purged.join(" ")}`}
          purge={(dryRun) => purgeRuns(purged, dryRun)}
          onClose={() => setPurged([])}
        />
      )}
    </Card>
  );
}
