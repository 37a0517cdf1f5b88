import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import type { ExperimentUse } from "../../../api/types.gen";
import { bytes } from "../../../format/bytes";
import { Ago } from "../../../ui/Ago";
import { explain } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { DataTable } from "../../../ui/DataTable";
import { Failure } from "../../../ui/Failure";
import { PurgeDialog } from "./PurgeDialog";
import { purgeExperiment, renewAll, restoreExperiment, storageUseQuery } from "./queries";

/** Experiments that can be restored or deleted for good; nothing if there is none. */
export function DeletedExperiments() {
  const client = useQueryClient();
  const deleted = useQuery(storageUseQuery()).data?.experiments.filter((experiment) => experiment.deleted) ?? [];
  const [purged, setPurged] = useState<ExperimentUse | null>(null);
  const restore = useMutation({ mutationFn: restoreExperiment, onSuccess: () => renewAll(client) });
  if (deleted.length === 0) return null;
  return (
    <Card title="Deleted experiments" flush>
      {restore.error && <Failure problem={explain(restore.error)} />}
      <DataTable
        label="deleted experiments"
        rows={deleted}
        rowKey={(experiment) => experiment.id}
        columns={[
          {
            key: "name",
            header: "Name",
            value: (experiment) => experiment.name,
            cell: (experiment) => (
              <Link to="/experiments/$experiment" params={{ experiment: experiment.id }}>
                {experiment.name}
              </Link>
            ),
          },
          { key: "runs", header: "Runs", numeric: true, value: (experiment) => experiment.storage.runs },
          {
            key: "bytes",
            header: "Stored",
            numeric: true,
            value: (experiment) => experiment.storage.total_bytes,
            cell: (experiment) => bytes(experiment.storage.total_bytes),
          },
          {
            key: "deleted_at",
            header: "Deleted",
            value: (experiment) => experiment.deleted_at,
            cell: (experiment) => <Ago at={experiment.deleted_at} />,
          },
          {
            key: "actions",
            header: "",
            value: () => "",
            cell: (experiment) => (
              <span className="row" style={{ justifyContent: "flex-end", flexWrap: "nowrap" }}>
                <button
                  type="button"
                  className="button"
                  disabled={restore.isPending}
                  onClick={() => restore.mutate(experiment.id)}
                >
                  Restore
                </button>
                <button type="button" className="button danger" onClick={() => setPurged(experiment)}>
                  Delete for good
                </button>
              </span>
            ),
          },
        ]}
      />
      {purged && (
        <PurgeDialog
          title={`Delete the experiment ${purged.name} for good?`}
          of={`experiment ${purged.id}`}
          purge={(dryRun) => purgeExperiment(purged.id, dryRun)}
          onClose={() => setPurged(null)}
        />
      )}
    </Card>
  );
}
