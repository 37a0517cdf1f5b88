import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import type { ModelView } from "../../../api/types.gen";
import { bytes } from "../../../format/bytes";
import { Ago } from "../../../ui/Ago";
import { Answer } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { PageHead } from "../../../ui/PageHead";
import { Source } from "../../../ui/Source";
import { Tabs } from "../../../ui/Tabs";
import { ArtifactBrowser } from "../artifacts/ArtifactBrowser";
import { Lineage } from "../Lineage";
import { Tags } from "../Tags";
import { modelQuery } from "../queries";
import type { ModelTab } from "../search";
import { ModelCard } from "./ModelCard";
import { ModelComparison } from "./ModelComparison";
import { ModelOverview } from "./ModelOverview";
import { ModelVersions } from "./ModelVersions";
import { Promotions } from "./Promotions";

export function ModelPage() {
  const { name } = useParams({ from: "/models/$name" });
  const { version } = useSearch({ from: "/models/$name" });
  const model = useQuery(modelQuery(name, version));
  return <Answer query={model}>{(found) => <ModelBody model={found} />}</Answer>;
}

const TABS: { key: ModelTab; label: string }[] = [
  { key: "overview", label: "Overview" },
  { key: "card", label: "Card" },
  { key: "versions", label: "Versions" },
  { key: "promotions", label: "Promotions" },
  { key: "lineage", label: "Lineage" },
  { key: "files", label: "Files" },
];

function ModelBody({ model }: { model: ModelView }) {
  const search = useSearch({ from: "/models/$name" });
  const navigate = useNavigate({ from: "/models/$name" });
  const { version: shown } = model;
  const { tab = "overview" } = search;
  return (
    <>
      <PageHead
        title={shown.name}
        status={
          <span className="row">
            <span className="tag accent">version {shown.version}</span>
            {shown.stage !== "None" && <span className="tag">{shown.stage}</span>}
            {shown.aliases.map((alias) => (
              <span key={alias} className="tag accent">
                {alias}
              </span>
            ))}
          </span>
        }
        about={
          <>
            {shown.task ?? "model"}, {shown.size_bytes !== null && `${bytes(shown.size_bytes)}, `}registered{" "}
            <Ago at={shown.created_at} />
          </>
        }
        actions={
          <>
            {shown.tracking_run_id && (
              <Link to="/tracked/$run" params={{ run: shown.tracking_run_id }} className="button">
                Tracked run
              </Link>
            )}
            {shown.run_link && /^https?:/.test(shown.run_link) && (
              <a href={shown.run_link} className="button" rel="noreferrer">
                Run elsewhere
              </a>
            )}
            {model.endpoints.map((endpoint) => (
              <Link key={endpoint} to="/endpoints/$name" params={{ name: endpoint }} className="button">
                Endpoint {endpoint}
              </Link>
            ))}
          </>
        }
      />
      {model.description && <p>{model.description}</p>}
      {shown.description && <p>{shown.description}</p>}
      <Tags tags={{ ...model.tags, ...shown.tags }} />
      <Tabs
        tabs={TABS}
        value={tab}
        onChange={(next) => void navigate({ search: { ...search, tab: next }, replace: true })}
        label="parts of the model"
      >
        {tab === "overview" && <ModelOverview version={shown} />}
        {tab === "versions" && (
          <>
            <Card flush>
              <ModelVersions versions={model.versions} shown={shown.version} />
            </Card>
            <ModelComparison name={shown.name} versions={model.versions} />
          </>
        )}
        {tab === "card" && <ModelCard name={shown.name} version={shown.version} />}
        {tab === "promotions" && <Promotions name={shown.name} version={shown.version} />}
        {tab === "lineage" && (
          <Card flush>
            <Lineage
              kind="model"
              name={shown.name}
              version={shown.version}
              node={search.node}
              onNode={(node) => void navigate({ search: { ...search, node }, replace: true, resetScroll: false })}
            />
          </Card>
        )}
        {tab === "files" && (
          <ArtifactBrowser
            uri={shown.artifact_path === null ? shown.uri : `mlflow-artifacts:/${shown.artifact_path}`}
            file={search.file}
            onFile={(file) =>
              void navigate({ search: { ...search, file: file || undefined }, replace: true, resetScroll: false })
            }
            title="Files"
          />
        )}
      </Tabs>
      <Source cli={model.command} json={model} />
    </>
  );
}
