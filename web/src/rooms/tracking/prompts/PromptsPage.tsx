import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { Ago } from "../../../ui/Ago";
import { Answer } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { DataTable } from "../../../ui/DataTable";
import { Empty } from "../../../ui/Empty";
import { PageHead } from "../../../ui/PageHead";
import { Tags } from "../Tags";
import { promptPagesQuery } from "./queries";

export function PromptsPage() {
  const [name, setName] = useState("");
  const filter = name ? `name ILIKE '%${name.replaceAll("'", "''")}%'` : "";
  const query = useInfiniteQuery(promptPagesQuery(filter));
  const command = `MLFLOW_TRACKING_URI=${window.location.origin} python -c "import mlflow; mlflow.genai.register_prompt('answer', 'Answer in one sentence: {{question}}')"`;
  return (
    <>
      <PageHead
        title="Prompts"
        about="Versions of what models are told; an alias such as production points at one."
        actions={
          <input
            type="search"
            className="input"
            aria-label="Search prompts"
            placeholder="Search by name"
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
        }
      />
      <Card flush>
        <Answer query={query}>
          {({ pages }) => {
            const prompts = pages.flatMap((page) => page.prompts);
            if (prompts.length === 0 && name) return <p className="muted empty">No prompt has “{name}” in its name.</p>;
            if (prompts.length === 0) return <Empty what="No prompt registered yet." command={command} />;
            return (
              <DataTable
                label="prompts"
                rows={prompts}
                rowKey={(prompt) => prompt.name}
                columns={[
                  {
                    key: "name",
                    header: "Name",
                    value: (prompt) => prompt.name,
                    cell: (prompt) => (
                      <Link to="/prompts/$name" params={{ name: prompt.name }}>
                        {prompt.name}
                      </Link>
                    ),
                  },
                  { key: "version", header: "Newest", numeric: true, value: (prompt) => prompt.version },
                  {
                    key: "aliases",
                    header: "Aliases",
                    value: (prompt) => Object.keys(prompt.aliases).join(" "),
                    cell: (prompt) => (
                      <span className="row">
                        {Object.entries(prompt.aliases).map(([alias, version]) => (
                          <span key={alias} className="tag accent">
                            {alias}: {version}
                          </span>
                        ))}
                      </span>
                    ),
                  },
                  { key: "description", header: "For", value: (prompt) => prompt.description },
                  {
                    key: "tags",
                    header: "Tags",
                    value: (prompt) => JSON.stringify(prompt.tags),
                    cell: (prompt) => <Tags tags={prompt.tags} />,
                  },
                  {
                    key: "updated",
                    header: "Changed",
                    value: (prompt) => prompt.updated_at,
                    cell: (prompt) => <Ago at={prompt.updated_at} />,
                  },
                ]}
              />
            );
          }}
        </Answer>
        {query.hasNextPage && (
          <div style={{ padding: 8 }}>
            <button
              type="button"
              className="button"
              disabled={query.isFetching}
              onClick={() => void query.fetchNextPage()}
            >
              More prompts
            </button>
          </div>
        )}
      </Card>
    </>
  );
}
