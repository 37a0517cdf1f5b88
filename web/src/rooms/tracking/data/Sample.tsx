import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import type { DatasetVersionView } from "../../../api/types.gen";
import { TablePreview } from "../../../charts/table/TablePreview";
import { Answer } from "../../../ui/Answer";
import { Empty } from "../../../ui/Empty";
import { sampleQuery } from "../queries";

/** The first rows that the condition in the address holds for, with each column's shape above it. */
export function Sample({ version }: { version: DatasetVersionView }) {
  const { where } = useSearch({ from: "/data/$name" });
  const sample = useQuery(sampleQuery(version.name, version.version, where));
  return (
    <>
      <Filter key={where ?? ""} where={where} />
      <Answer query={sample} rows={10}>
        {(found) =>
          found.rows.length === 0 ? (
            <Empty
              what={where ? "No row fits the condition." : "This version has no rows."}
              command={`millrace data preview ${version.name}@${version.version}`}
            />
          ) : (
            <TablePreview
              columns={found.columns}
              rows={found.rows}
              label={`rows of ${version.name}`}
              profile={where ? null : version.profile}
            />
          )
        }
      </Answer>
    </>
  );
}

function Filter({ where }: { where?: string }) {
  const navigate = useNavigate({ from: "/data/$name" });
  const [typed, setTyped] = useState(where ?? "");
  return (
    <form
      className="row"
      style={{ padding: 8 }}
      onSubmit={(event) => {
        event.preventDefault();
        void navigate({ search: (search) => ({ ...search, where: typed.trim() || undefined }), replace: true });
      }}
    >
      <input
        className="input mono"
        style={{ flex: 1, minWidth: 0 }}
        aria-label="Condition on the rows"
        placeholder="delay > 15 and carrier = 'UA'"
        value={typed}
        onChange={(event) => setTyped(event.target.value)}
      />
      <button type="submit" className="button">
        Filter
      </button>
    </form>
  );
}
