import { useNavigate, useSearch } from "@tanstack/react-router";
import type { DatasetView } from "../../../api/types.gen";
import { DataTable } from "../../../ui/DataTable";
import { SchemaDiff } from "./SchemaDiff";

/** The columns of a version, or what changed in them since another. */
export function DatasetSchema({ dataset }: { dataset: DatasetView }) {
  const { before } = useSearch({ from: "/data/$name" });
  const navigate = useNavigate({ from: "/data/$name" });
  const { version: shown, versions } = dataset;
  const others = versions.filter((version) => version.version !== shown.version);
  return (
    <>
      {others.length > 0 && (
        <label className="row small" style={{ padding: 8 }}>
          Changes since version
          <select
            className="input"
            value={before ?? ""}
            onChange={(event) =>
              void navigate({
                search: (search) => ({ ...search, before: Number(event.target.value) || undefined }),
                replace: true,
              })
            }
          >
            <option value="">–</option>
            {others.map((version) => (
              <option key={version.version} value={version.version}>
                {version.version}
                {version.aliases.length > 0 && ` (${version.aliases.join(", ")})`}
              </option>
            ))}
          </select>
        </label>
      )}
      {before ? (
        <SchemaDiff name={shown.name} from={before} to={shown.version} />
      ) : (
        <DataTable
          label={`schema of ${shown.name}`}
          rows={shown.schema}
          rowKey={(field) => field.name}
          columns={[
            { key: "name", header: "Column", value: (field) => field.name },
            { key: "type", header: "Type", value: (field) => field.type },
            { key: "nullable", header: "Nulls", value: (field) => (field.nullable ? "allowed" : "never") },
          ]}
        />
      )}
    </>
  );
}
