import { useQuery } from "@tanstack/react-query";
import type { DatasetVersionView } from "../../../api/types.gen";
import { TablePreview } from "../../../charts/table/TablePreview";
import { Answer } from "../../../ui/Answer";
import { Empty } from "../../../ui/Empty";
import { sampleQuery } from "../queries";

/** The first rows, with each column's shape above it. */
export function Sample({ version }: { version: DatasetVersionView }) {
  const sample = useQuery(sampleQuery(version.name, version.version));
  return (
    <Answer query={sample} rows={10}>
      {(found) =>
        found.rows.length === 0 ? (
          <Empty what="This version has no rows." command={`millrace sql "select count(*) from ${version.name}"`} />
        ) : (
          <TablePreview
            columns={found.columns}
            rows={found.rows}
            label={`rows of ${version.name}`}
            profile={version.profile}
          />
        )
      }
    </Answer>
  );
}
