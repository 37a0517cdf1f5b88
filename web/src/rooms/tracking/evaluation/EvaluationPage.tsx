import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Ago } from "../../../ui/Ago";
import { Answer } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { DataTable } from "../../../ui/DataTable";
import { Empty } from "../../../ui/Empty";
import { PageHead } from "../../../ui/PageHead";
import { Tags } from "../Tags";
import { evaluationDatasetsQuery } from "./queries";

export function EvaluationPage() {
  const query = useQuery(evaluationDatasetsQuery());
  const command = `MLFLOW_TRACKING_URI=${window.location.origin} python -c "import mlflow; mlflow.genai.create_dataset('questions').merge_records([{'inputs': {'question': 'Is it on?'}, 'expectations': {'answer': 'yes'}}])"`;
  return (
    <>
      <PageHead title="Evaluation data" about="Inputs and what is expected of them, that applications are judged by." />
      <Card flush>
        <Answer query={query}>
          {(found) =>
            found.length === 0 ? (
              <Empty what="No evaluation dataset yet." command={command} />
            ) : (
              <DataTable
                label="evaluation datasets"
                rows={found}
                rowKey={(dataset) => dataset.id}
                columns={[
                  {
                    key: "name",
                    header: "Name",
                    value: (dataset) => dataset.name,
                    cell: (dataset) => (
                      <Link to="/evaluation/$dataset" params={{ dataset: dataset.id }}>
                        {dataset.name}
                      </Link>
                    ),
                  },
                  { key: "records", header: "Records", numeric: true, value: (dataset) => dataset.records },
                  {
                    key: "tags",
                    header: "Tags",
                    value: (dataset) => JSON.stringify(dataset.tags),
                    cell: (dataset) => <Tags tags={dataset.tags} />,
                  },
                  { key: "by", header: "By", value: (dataset) => dataset.created_by },
                  {
                    key: "updated",
                    header: "Changed",
                    value: (dataset) => dataset.updated_at,
                    cell: (dataset) => <Ago at={dataset.updated_at} />,
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
