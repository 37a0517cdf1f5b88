import { useQuery } from "@tanstack/react-query";
import type { FieldView } from "../../../api/types.gen";
import { Answer } from "../../../ui/Answer";
import { DataTable } from "../../../ui/DataTable";
import { Empty } from "../../../ui/Empty";
import { schemaDiffQuery } from "../queries";

const WORDS: { [change: string]: string } = {
  added: "new",
  removed: "gone",
  type: "other type",
  nullability: "nulls",
  moved: "moved",
};

/** What changed in the columns from one version to another. */
export function SchemaDiff({ name, from, to }: { name: string; from: number; to: number }) {
  const diff = useQuery(schemaDiffQuery(name, from, to));
  return (
    <Answer query={diff}>
      {({ changes }) =>
        changes.length === 0 ? (
          <Empty what={`Versions ${from} and ${to} have the same columns.`} />
        ) : (
          <DataTable
            label={`changes from version ${from} to ${to}`}
            rows={changes}
            rowKey={(change) => `${change.column} ${change.change}`}
            columns={[
              { key: "column", header: "Column", value: (change) => change.column },
              { key: "change", header: "Change", value: (change) => WORDS[change.change] ?? change.change },
              { key: "before", header: "Before", value: (change) => type(change.before) },
              { key: "after", header: "After", value: (change) => type(change.after) },
              {
                key: "breaking",
                header: "Breaks readers",
                value: (change) => (change.breaking ? "yes" : "no"),
                cell: (change) => (change.breaking ? <span className="tag">yes</span> : <span>no</span>),
              },
            ]}
          />
        )
      }
    </Answer>
  );
}

const type = (field: FieldView | null) => (field ? `${field.type}${field.nullable ? ", nulls allowed" : ""}` : "");
