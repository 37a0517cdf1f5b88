import { Link } from "@tanstack/react-router";
import type { DatasetSummary } from "../../../api/types.gen";
import { bytes } from "../../../format/bytes";
import { count } from "../../../format/number";
import { Ago } from "../../../ui/Ago";
import { DataTable } from "../../../ui/DataTable";

/** Versions of a dataset, newest first. */
export function DatasetVersions({ versions, shown }: { versions: DatasetSummary[]; shown: number }) {
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
            <Link to="/data/$name" params={{ name: version.name }} search={{ version: version.version }}>
              {version.version}
            </Link>
          ),
        },
        { key: "aliases", header: "Aliases", value: (version) => version.aliases.join(", ") },
        { key: "rows", header: "Rows", numeric: true, value: (version) => count(version.rows) },
        { key: "size", header: "Size", numeric: true, value: (version) => bytes(version.size_bytes) },
        {
          key: "created",
          header: "Made",
          value: (version) => version.created_at,
          cell: (version) => <Ago at={version.created_at} />,
        },
        { key: "by", header: "By step", value: (version) => version.producer?.step },
      ]}
    />
  );
}
