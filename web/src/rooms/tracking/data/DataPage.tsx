import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { short } from "../../../format/id";
import { bytes } from "../../../format/bytes";
import { count } from "../../../format/number";
import { Ago } from "../../../ui/Ago";
import { Answer } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { DataTable } from "../../../ui/DataTable";
import { Empty } from "../../../ui/Empty";
import { PageHead } from "../../../ui/PageHead";
import { datasetsQuery } from "../queries";

export function DataPage() {
  const datasets = useQuery(datasetsQuery());
  return (
    <>
      <PageHead
        title="Data"
        about="Datasets with their versions; every version stays readable."
        actions={
          <a className="button" href="/sql">
            Query with SQL
          </a>
        }
      />
      <Card flush>
        <Answer query={datasets}>
          {(found) =>
            found.length === 0 ? (
              <Empty
                what="No dataset yet. This reads a file into one:"
                command="millrace copy flights.csv data:flights"
              />
            ) : (
              <DataTable
                label="datasets"
                rows={found}
                rowKey={(dataset) => dataset.name}
                columns={[
                  {
                    key: "name",
                    header: "Name",
                    value: (dataset) => dataset.name,
                    cell: (dataset) => (
                      <Link to="/data/$name" params={{ name: dataset.name }}>
                        {dataset.name}
                      </Link>
                    ),
                  },
                  { key: "version", header: "Version", numeric: true, value: (dataset) => dataset.version },
                  { key: "rows", header: "Rows", numeric: true, value: (dataset) => count(dataset.rows) },
                  { key: "columns", header: "Columns", numeric: true, value: (dataset) => dataset.columns },
                  { key: "size", header: "Size", numeric: true, value: (dataset) => bytes(dataset.size_bytes) },
                  {
                    key: "created",
                    header: "Made",
                    value: (dataset) => dataset.created_at,
                    cell: (dataset) => <Ago at={dataset.created_at} />,
                  },
                  {
                    key: "by",
                    header: "By",
                    value: (dataset) => dataset.producer?.step,
                    cell: ({ producer }) =>
                      producer ? (
                        <Link
                          to="/runs/$run"
                          params={{ run: producer.run_id }}
                          search={{ step: producer.step ?? undefined }}
                        >
                          {producer.step ?? short(producer.run_id)}
                        </Link>
                      ) : (
                        <span className="muted">–</span>
                      ),
                  },
                ]}
              />
            )
          }
        </Answer>
      </Card>
    </>
  );
}
