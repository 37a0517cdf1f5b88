import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import type { DatasetView } from "../../../api/types.gen";
import { short } from "../../../format/id";
import { bytes } from "../../../format/bytes";
import { count, plural } from "../../../format/number";
import { Ago } from "../../../ui/Ago";
import { Answer } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { PageHead } from "../../../ui/PageHead";
import { Source } from "../../../ui/Source";
import { Tabs } from "../../../ui/Tabs";
import { Lineage } from "../Lineage";
import { Tags } from "../Tags";
import { datasetQuery } from "../queries";
import type { DatasetTab } from "../search";
import { DatasetLabels } from "./DatasetLabels";
import { DatasetSchema } from "./DatasetSchema";
import { DatasetVersions } from "./DatasetVersions";
import { ProfileTable } from "./ProfileTable";
import { Readers } from "./Readers";
import { Sample } from "./Sample";

export function DatasetPage() {
  const { name } = useParams({ from: "/data/$name" });
  const { version } = useSearch({ from: "/data/$name" });
  const dataset = useQuery(datasetQuery(name, version));
  return <Answer query={dataset}>{(found) => <DatasetBody dataset={found} />}</Answer>;
}

const TABS: { key: DatasetTab; label: string }[] = [
  { key: "sample", label: "Sample" },
  { key: "schema", label: "Schema" },
  { key: "profile", label: "Profile" },
  { key: "versions", label: "Versions" },
  { key: "labels", label: "Aliases and tags" },
  { key: "lineage", label: "Lineage" },
];

function DatasetBody({ dataset }: { dataset: DatasetView }) {
  const search = useSearch({ from: "/data/$name" });
  const navigate = useNavigate({ from: "/data/$name" });
  const { version: shown, versions } = dataset;
  const { tab = "sample" } = search;
  return (
    <>
      <PageHead
        title={shown.name}
        status={
          <span className="row">
            <span className="tag accent">version {shown.version}</span>
            {shown.aliases.map((alias) => (
              <span key={alias} className="tag accent">
                {alias}
              </span>
            ))}
          </span>
        }
        about={
          <>
            {count(shown.rows)} rows, {plural(shown.schema.length, "column")}, {bytes(shown.size_bytes)}, made{" "}
            <Ago at={shown.created_at} />
            {shown.producer && (
              <>
                {" by "}
                <Link
                  to="/runs/$run"
                  params={{ run: shown.producer.run_id }}
                  search={{ step: shown.producer.step ?? undefined }}
                >
                  {shown.producer.step ?? short(shown.producer.run_id)}
                </Link>
              </>
            )}
          </>
        }
        actions={
          <Link
            to="/data"
            search={{ sql: `select * from "${shown.name}@${shown.version}" limit 100` }}
            className="button"
          >
            Query
          </Link>
        }
      />
      <Tags tags={{ ...dataset.tags, ...shown.tags }} />
      <Tabs
        tabs={TABS}
        value={tab}
        onChange={(next) => void navigate({ search: { ...search, tab: next }, replace: true })}
        label="parts of the dataset"
      >
        <Card flush>
          {tab === "sample" && <Sample version={shown} />}
          {tab === "schema" && <DatasetSchema dataset={dataset} />}
          {tab === "profile" && <ProfileTable profile={shown.profile} />}
          {tab === "versions" && <DatasetVersions versions={versions} shown={shown.version} />}
          {tab === "labels" && <DatasetLabels dataset={dataset} />}
          {tab === "lineage" && (
            <Lineage
              kind="dataset"
              name={shown.name}
              version={shown.version}
              node={search.node}
              onNode={(node) => void navigate({ search: { ...search, node }, replace: true, resetScroll: false })}
            />
          )}
        </Card>
        {tab === "lineage" && (
          <Card title="Read by" flush>
            <Readers name={shown.name} version={shown.version} />
          </Card>
        )}
      </Tabs>
      <Source cli={dataset.command} json={dataset} />
    </>
  );
}
