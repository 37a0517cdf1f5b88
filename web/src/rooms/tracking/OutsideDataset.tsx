import { useQuery } from "@tanstack/react-query";
import type { OutsideDatasetView } from "../../api/types.gen";
import { Ago } from "../../ui/Ago";
import { Answer } from "../../ui/Answer";
import { DataTable } from "../../ui/DataTable";
import { Facts } from "../../ui/Facts";
import { outsideName } from "./outsideName";
import { outsideDatasetQuery } from "./queries";

/** A dataset of another system: its columns, as far as they were told, and who reads and writes it. */
export function OutsideDataset({ name }: { name: string }) {
  const dataset = useQuery(outsideDatasetQuery(name));
  return <Answer query={dataset}>{(found) => <DatasetDetails view={found} />}</Answer>;
}

function DatasetDetails({ view: { key, name, namespace, columns, users } }: { view: OutsideDatasetView }) {
  return (
    <section aria-label={`outside data ${name}`}>
      <header className="row" style={{ padding: "12px 12px 6px" }}>
        <h3>{outsideName(key)}</h3>
      </header>
      <div style={{ padding: "0 12px 10px" }}>
        <Facts
          facts={[
            ["Where", namespace],
            ["Name there", name],
          ]}
        />
      </div>
      {columns.length > 0 && (
        <DataTable
          label={`columns of ${name}`}
          rows={columns}
          rowKey={(column) => column.name}
          columns={[
            { key: "name", header: "Column", value: (column) => column.name },
            { key: "type", header: "Type", value: (column) => column.type },
          ]}
        />
      )}
      <DataTable
        label={`jobs that read or write ${name}`}
        rows={users}
        rowKey={(user) => `${user.job} ${user.writes}`}
        stacked
        columns={[
          { key: "job", header: "Job", value: (user) => user.job, wrap: true },
          { key: "how", header: "How", value: (user) => (user.writes ? "writes it" : "reads it") },
          { key: "at", header: "Last", value: (user) => user.used_at, cell: (user) => <Ago at={user.used_at} /> },
        ]}
      />
    </section>
  );
}
