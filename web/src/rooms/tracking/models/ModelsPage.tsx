import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { number } from "../../../format/number";
import { Ago } from "../../../ui/Ago";
import { Answer } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { DataTable } from "../../../ui/DataTable";
import { Empty } from "../../../ui/Empty";
import { PageHead } from "../../../ui/PageHead";
import { modelsQuery } from "../queries";

export function ModelsPage() {
  const models = useQuery(modelsQuery());
  return (
    <>
      <PageHead title="Models" about="Registered models; an alias such as champion points at one version." />
      <Card flush>
        <Answer query={models}>
          {(found) =>
            found.length === 0 ? (
              <Empty what="No model registered yet. A `register` step does it:" command="millrace explain register" />
            ) : (
              <DataTable
                label="models"
                rows={found}
                rowKey={(model) => model.name}
                columns={[
                  {
                    key: "name",
                    header: "Name",
                    value: (model) => model.name,
                    cell: (model) => (
                      <Link to="/models/$name" params={{ name: model.name }}>
                        {model.name}
                      </Link>
                    ),
                  },
                  { key: "version", header: "Newest", numeric: true, value: (model) => model.version },
                  { key: "versions", header: "Versions", numeric: true, value: (model) => model.versions },
                  {
                    key: "aliases",
                    header: "Aliases",
                    value: (model) => model.aliases.join(" "),
                    cell: (model) => <Aliases names={model.aliases} />,
                  },
                  {
                    key: "metrics",
                    header: "Metrics",
                    value: (model) => JSON.stringify(model.metrics),
                    cell: (model) =>
                      Object.entries(model.metrics)
                        .slice(0, 3)
                        .map(([name, value]) => `${name} ${number(value)}`)
                        .join(", "),
                  },
                  {
                    key: "created",
                    header: "Registered",
                    value: (model) => model.created_at,
                    cell: (model) => <Ago at={model.created_at} />,
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

function Aliases({ names }: { names: string[] }) {
  return (
    <span className="row">
      {names.map((name) => (
        <span key={name} className="tag accent">
          {name}
        </span>
      ))}
    </span>
  );
}
