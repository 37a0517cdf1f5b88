import { Link } from "@tanstack/react-router";
import type { SqlModelSummary } from "../../../api/types.gen";
import { Ago } from "../../../ui/Ago";
import { DataTable } from "../../../ui/DataTable";

/** The models as a list. */
export function ModelTable({ models }: { models: SqlModelSummary[] }) {
  return (
    <DataTable
      label="SQL models"
      rows={models}
      rowKey={(model) => model.name}
      stacked
      columns={[
        {
          key: "name",
          header: "Model",
          value: (model) => model.name,
          cell: (model) => (
            <Link to="/sql-models/$name" params={{ name: model.name }}>
              {model.name}
            </Link>
          ),
        },
        { key: "materialized", header: "Kept as", value: (model) => model.materialized },
        { key: "reads", header: "Reads", wrap: true, value: (model) => model.reads.join(", ") },
        { key: "tests", header: "Tests", numeric: true, value: (model) => model.tests },
        { key: "rows", header: "Rows", numeric: true, value: (model) => model.rows },
        {
          key: "built_at",
          header: "Built",
          value: (model) => model.built_at,
          cell: (model) =>
            model.built_at ? (
              <Link to="/data/$name" params={{ name: model.name }}>
                <Ago at={model.built_at} />
              </Link>
            ) : (
              <span className="muted">{model.materialized === "ephemeral" ? "–" : "not yet"}</span>
            ),
        },
        {
          key: "tags",
          header: "Tags",
          value: (model) => model.tags.join(", "),
          cell: ({ tags }) => (tags.length === 0 ? <span className="muted">–</span> : <TagList tags={tags} />),
        },
        { key: "description", header: "Description", wrap: true, value: (model) => model.description },
      ]}
    />
  );
}

function TagList({ tags }: { tags: string[] }) {
  return tags.map((tag) => (
    <span key={tag} className="tag">
      {tag}
    </span>
  ));
}
