import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { DatasetRead } from "../../../api/types.gen";
import { short } from "../../../format/id";
import { Ago } from "../../../ui/Ago";
import { Answer } from "../../../ui/Answer";
import { DataTable } from "../../../ui/DataTable";
import { Empty } from "../../../ui/Empty";
import { datasetReadsQuery } from "../queries";

/** The steps and the tracked runs that read a version. */
export function Readers({ name, version }: { name: string; version: number }) {
  const reads = useQuery(datasetReadsQuery(name, version));
  return (
    <Answer query={reads}>
      {(found) =>
        found.length === 0 ? (
          <Empty what="No run has read this version." />
        ) : (
          <DataTable
            label="runs that read it"
            rows={found}
            rowKey={(read) => `${read.run_id} ${read.step ?? ""} ${read.context ?? ""}`}
            columns={[
              { key: "run", header: "Run", value: (read) => read.run_id, cell: (read) => <Run read={read} /> },
              { key: "name", header: "Of", value: (read) => read.name },
              { key: "context", header: "For", value: (read) => read.context },
              { key: "at", header: "When", value: (read) => read.at, cell: (read) => read.at && <Ago at={read.at} /> },
            ]}
          />
        )
      }
    </Answer>
  );
}

function Run({ read }: { read: DatasetRead }) {
  return read.step ? (
    <Link to="/runs/$run" params={{ run: read.run_id }} search={{ step: read.step }}>
      {read.step} of {short(read.run_id)}
    </Link>
  ) : (
    <Link to="/tracked/$run" params={{ run: read.run_id }}>
      {short(read.run_id)}
    </Link>
  );
}
