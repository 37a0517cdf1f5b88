import { Link } from "@tanstack/react-router";
import type { ModelSummary } from "../../../api/types.gen";
import { number } from "../../../format/number";
import { Ago } from "../../../ui/Ago";
import { DataTable } from "../../../ui/DataTable";

/** Versions of a model with their metrics beside each other. */
export function ModelVersions({ versions, shown }: { versions: ModelSummary[]; shown: number }) {
  const metrics = [...new Set(versions.flatMap((version) => Object.keys(version.metrics)))];
  return (
    <DataTable
      label="versions"
      rows={versions}
      rowKey={(version) => String(version.version)}
      selected={String(shown)}
      columns={[
        {
          key: "version",
          header: "Version",
          value: (version) => version.version,
          cell: (version) => (
            <Link to="/models/$name" params={{ name: version.name }} search={{ version: version.version }}>
              {version.version}
            </Link>
          ),
        },
        { key: "stage", header: "Stage", value: (version) => (version.stage === "None" ? "" : version.stage) },
        { key: "aliases", header: "Aliases", value: (version) => version.aliases.join(", ") },
        {
          key: "created",
          header: "Registered",
          value: (version) => version.created_at,
          cell: (version) => <Ago at={version.created_at} />,
        },
        ...metrics.map((name) => ({
          key: name,
          header: name,
          numeric: true,
          value: (version: ModelSummary) => number(version.metrics[name]),
        })),
      ]}
    />
  );
}
