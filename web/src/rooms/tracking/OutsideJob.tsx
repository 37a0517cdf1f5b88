import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { OutsideJobView, OutsideRunView, OutsideUseView } from "../../api/types.gen";
import { Ago } from "../../ui/Ago";
import { Answer } from "../../ui/Answer";
import { DataTable } from "../../ui/DataTable";
import { Facts } from "../../ui/Facts";
import { Status } from "../../ui/Status";
import { outsideJobQuery } from "./queries";

/** A job of another system, as it told of itself: its runs, and what it reads and writes. */
export function OutsideJob({ name }: { name: string }) {
  const job = useQuery(outsideJobQuery(name));
  return <Answer query={job}>{(found) => <JobDetails view={found} />}</Answer>;
}

function JobDetails({ view: { job, runs, uses } }: { view: OutsideJobView }) {
  return (
    <section aria-label={`outside job ${job.name}`}>
      <header className="row" style={{ padding: "12px 12px 6px" }}>
        <h3>{job.name}</h3>
        {job.latest && <Status status={job.latest.state} />}
      </header>
      <div style={{ padding: "0 12px 10px" }}>
        <Facts
          facts={[
            ["Job of", job.namespace],
            ["Told by", job.producer],
            ["Last heard of", <Ago key="told" at={job.updated_at} />],
          ]}
        />
      </div>
      <DataTable
        label={`what ${job.name} reads and writes`}
        rows={uses}
        rowKey={(use) => `${use.dataset} ${use.writes} ${use.asset?.version ?? ""}`}
        stacked
        columns={[
          { key: "how", header: "Reads or writes", value: (use) => (use.writes ? "writes" : "reads") },
          { key: "dataset", header: "Dataset", value: (use) => use.dataset, cell: data, wrap: true },
          { key: "at", header: "Last", value: (use) => use.used_at, cell: (use) => <Ago at={use.used_at} /> },
        ]}
      />
      {runs.length > 0 && (
        <div style={{ marginTop: 16 }}>
          <DataTable
            label={`runs of ${job.name}`}
            rows={runs}
            rowKey={(run) => run.id}
            stacked
            columns={[
              { key: "run", header: "Run", value: (run) => run.id },
              {
                key: "state",
                header: "State",
                value: (run) => run.state,
                cell: (run) => <Status status={run.state} />,
              },
              { key: "started", header: "Started", value: (run) => run.started_at, cell: started },
              { key: "error", header: "Because", value: (run) => run.error, wrap: true },
            ]}
          />
        </div>
      )}
    </section>
  );
}

/** What it is called there, and what it is here. */
const data = ({ dataset, asset }: OutsideUseView) => (
  <>
    {dataset}
    {asset && (
      <>
        {", here "}
        <Link to="/data/$name" params={{ name: asset.name }} search={{ version: asset.version }}>
          {asset.name}@{asset.version}
        </Link>
      </>
    )}
  </>
);

const started = (run: OutsideRunView) => run.started_at !== null && <Ago at={run.started_at} />;
