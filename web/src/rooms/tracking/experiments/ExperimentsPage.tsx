import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { bytes } from "../../../format/bytes";
import { Ago } from "../../../ui/Ago";
import { Answer } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { DataTable } from "../../../ui/DataTable";
import { Empty } from "../../../ui/Empty";
import { PageHead } from "../../../ui/PageHead";
import { DeletedExperiments } from "../lifecycle/DeletedExperiments";
import { DefaultRetention } from "../lifecycle/DefaultRetention";
import { storageUseQuery } from "../lifecycle/queries";
import { experimentsQuery } from "../queries";

export function ExperimentsPage() {
  const experiments = useQuery(experimentsQuery());
  const use = useQuery(storageUseQuery()).data?.experiments ?? [];
  const stored = new Map(use.map((experiment) => [experiment.id, experiment.storage.total_bytes]));
  return (
    <>
      <PageHead
        title="Experiments"
        about="Tracked runs with their parameters, metrics and files, from pipelines and from MLflow clients."
        actions={
          <Link to="/experiments/$experiment" params={{ experiment: "*" }} className="button">
            Runs of all experiments
          </Link>
        }
      />
      <Card flush>
        <Answer query={experiments}>
          {(found) =>
            found.length === 0 ? (
              <Empty
                what="No tracked run yet. Any script that uses MLflow logs here:"
                command={`MLFLOW_TRACKING_URI=${window.location.origin} python train.py`}
              />
            ) : (
              <DataTable
                label="experiments"
                rows={found}
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
                  { key: "runs", header: "Runs", numeric: true, value: (experiment) => experiment.runs },
                  {
                    key: "last",
                    header: "Last run",
                    value: (experiment) => experiment.last_run_at,
                    cell: (experiment) => <Ago at={experiment.last_run_at} />,
                  },
                  {
                    key: "bytes",
                    header: "Stored",
                    numeric: true,
                    value: (experiment) => stored.get(experiment.id),
                    cell: (experiment) => bytes(stored.get(experiment.id)),
                  },
                ]}
              />
            )
          }
        </Answer>
      </Card>
      <DeletedExperiments />
      <DefaultRetention />
    </>
  );
}
