import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { SqlModelTest } from "../../../api/types.gen";
import { Ago } from "../../../ui/Ago";
import { Answer } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { CodeView } from "../../../ui/CodeView";
import { DataTable } from "../../../ui/DataTable";
import { Empty } from "../../../ui/Empty";
import { Facts } from "../../../ui/Facts";
import { PageHead } from "../../../ui/PageHead";
import { sqlModelQuery, sqlModelsQuery } from "../queries";
import { ModelGraph } from "./ModelGraph";

/** A SQL model: its query, its columns with their tests, and what is around it. */
export function SqlModelPage() {
  const { name } = useParams({ from: "/sql-models/$name" });
  const model = useQuery(sqlModelQuery(name));
  const models = useQuery(sqlModelsQuery());
  return (
    <Answer query={model} rows={10}>
      {(view) => (
        <>
          <PageHead
            title={view.name}
            status={<span className="tag">{view.materialized}</span>}
            about={view.description}
            actions={
              view.version !== null && (
                <Link to="/data/$name" params={{ name: view.name }} className="button">
                  Open its dataset
                </Link>
              )
            }
          />
          <Card title="About">
            <Facts
              facts={[
                ["File", <code key="file">{view.file}</code>],
                ["Built", view.built_at && <Built key="built" at={view.built_at} version={view.version} />],
                ["Rows", view.rows?.toLocaleString("en")],
                [
                  "Reads",
                  <Names key="reads" names={view.reads} known={models.data?.models.map((other) => other.name)} />,
                ],
                [
                  "Read by",
                  view.read_by.length > 0 && <Names key="read_by" names={view.read_by} known={view.read_by} />,
                ],
                ["Tags", view.tags.join(", ")],
                ["Tests of rows", view.row_tests.length > 0 && <Tests key="tests" tests={view.row_tests} />],
              ]}
            />
          </Card>
          <Card title="Query" flush>
            <CodeView text={view.sql.trimEnd()} language="sql" label={`query of ${view.name}`} />
          </Card>
          <Card title="Columns" flush>
            {view.columns.length === 0 ? (
              <Empty what="Its columns are known once it was built." />
            ) : (
              <DataTable
                label={`columns of ${view.name}`}
                rows={view.columns}
                rowKey={(column) => column.name}
                stacked
                columns={[
                  { key: "name", header: "Column", value: (column) => column.name },
                  { key: "type", header: "Type", value: (column) => column.type },
                  { key: "description", header: "Description", wrap: true, value: (column) => column.description },
                  {
                    key: "tests",
                    header: "Tests",
                    wrap: true,
                    value: (column) => column.tests.map((test) => test.name).join(", "),
                    cell: (column) => <Tests tests={column.tests} />,
                  },
                ]}
              />
            )}
          </Card>
          {models.data && (
            <Card title="Around it" flush>
              <ModelGraph models={models.data} around={view.name} />
            </Card>
          )}
        </>
      )}
    </Answer>
  );
}

function Built({ at, version }: { at: string; version: number | null }): ReactNode {
  return (
    <>
      <Ago at={at} />, version {version}
    </>
  );
}

/** Names, those of models as links. */
function Names({ names, known = [] }: { names: string[]; known?: string[] }) {
  if (names.length === 0) return <span className="muted">–</span>;
  return names.map((name, place) => (
    <span key={name}>
      {place > 0 && ", "}
      {known.includes(name) ? (
        <Link to="/sql-models/$name" params={{ name }}>
          {name}
        </Link>
      ) : (
        name
      )}
    </span>
  ));
}

function Tests({ tests }: { tests: SqlModelTest[] }) {
  if (tests.length === 0) return <span className="muted">–</span>;
  return (
    <span className="row" style={{ flexWrap: "wrap", gap: 4 }}>
      {tests.map((test) => (
        <span key={test.name} className="tag" title={test.severity === "warn" ? "a failure is a warning" : undefined}>
          {test.name}
          {test.severity === "warn" && " (warns)"}
        </span>
      ))}
    </span>
  );
}
