import type { TrackedRun } from "../../../api/types.gen";
import { number } from "../../../format/number";
import { Card } from "../../../ui/Card";
import { DataTable } from "../../../ui/DataTable";
import { paramDiff } from "./columns";

interface CompareRunsProps {
  runs: TrackedRun[];
  every: boolean;
  onEvery: (every: boolean) => void;
}

/** Selected runs beside each other. */
export function CompareRuns({ runs, every, onEvery }: CompareRunsProps) {
  const params = paramDiff(runs, every).map(({ name, values }) => ({ name, family: "param", values }));
  const metricNames = [...new Set(runs.flatMap((run) => Object.keys(run.metrics)))].toSorted();
  const metrics = metricNames.map((name) => ({
    name,
    family: "metric",
    values: runs.map((run) => number(run.metrics[name])),
  }));
  return (
    <Card
      flush
      title="Compare"
      actions={
        <label className="row small">
          <input type="checkbox" checked={!every} onChange={(event) => onEvery(!event.target.checked)} /> only
          parameters that differ
        </label>
      }
    >
      <DataTable
        label="comparison"
        rows={[...metrics, ...params]}
        rowKey={(row) => `${row.family}.${row.name}`}
        columns={[
          { key: "name", header: "Name", value: (row) => row.name },
          { key: "family", header: "What", value: (row) => row.family },
          ...runs.map((run, index) => ({
            key: run.id,
            header: run.name,
            numeric: true,
            value: (row: { values: (string | undefined)[] }) => row.values[index],
          })),
        ]}
      />
    </Card>
  );
}
