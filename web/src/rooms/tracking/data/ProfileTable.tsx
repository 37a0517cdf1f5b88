import type { ColumnProfile, TableProfile } from "../../../api/types.gen";
import { MiniHistogram } from "../../../charts/mini/MiniHistogram";
import { count, number, percent } from "../../../format/number";
import { value } from "../../../format/value";
import { DataTable } from "../../../ui/DataTable";
import { Empty } from "../../../ui/Empty";

/** Statistics, one column a line. */
export function ProfileTable({ profile }: { profile: TableProfile | null }) {
  if (!profile) return <Empty what="This version has no profile." />;
  return (
    <DataTable
      label="profile"
      rows={profile.columns}
      rowKey={(column) => column.name}
      columns={[
        { key: "name", header: "Column", value: (column) => column.name },
        { key: "type", header: "Type", value: (column) => column.data_type },
        { key: "shape", header: "Shape", value: () => "", cell: (column) => <Shape column={column} /> },
        {
          key: "nulls",
          header: "Nulls",
          numeric: true,
          value: (column) => column.nulls,
          cell: (column) => `${count(column.nulls)} (${percent(profile.rows ? column.nulls / profile.rows : 0)})`,
        },
        {
          key: "distinct",
          header: "Distinct",
          numeric: true,
          value: (column) => column.distinct,
          cell: (column) => count(column.distinct),
        },
        { key: "min", header: "Min", numeric: true, value: (column) => value(column.min) },
        { key: "median", header: "Median", numeric: true, value: (column) => number(column.quantiles[2] ?? null) },
        { key: "mean", header: "Mean", numeric: true, value: (column) => number(column.mean) },
        { key: "stddev", header: "Deviation", numeric: true, value: (column) => number(column.stddev) },
        { key: "max", header: "Max", numeric: true, value: (column) => value(column.max) },
        {
          key: "top",
          header: "Most common",
          value: (column) =>
            column.top
              .slice(0, 3)
              .map((entry) => `${entry.value ?? "null"} (${count(entry.count)})`)
              .join(", "),
        },
      ]}
    />
  );
}

function Shape({ column }: { column: ColumnProfile }) {
  const bins = column.histogram.length > 0 ? column.histogram : column.top;
  return bins.length > 0 ? (
    <MiniHistogram counts={bins.map((bin) => bin.count)} label={`distribution of ${column.name}`} />
  ) : null;
}
