import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import type { ModelSummary } from "../../../api/types.gen";
import { Answer } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { DataTable } from "../../../ui/DataTable";
import { Empty } from "../../../ui/Empty";
import { modelComparisonQuery } from "../queries";
import { list, words } from "../search";

/** Versions to tick, and those that are ticked beside each other. */
export function ModelComparison({ name, versions }: { name: string; versions: ModelSummary[] }) {
  const { compare, same } = useSearch({ from: "/models/$name" });
  const navigate = useNavigate({ from: "/models/$name" });
  const chosen = words(compare);
  const comparison = useQuery(modelComparisonQuery(name, chosen));
  const toggle = (version: string) => {
    const next = chosen.includes(version) ? chosen.filter((entry) => entry !== version) : [...chosen, version];
    void navigate({ search: (search) => ({ ...search, compare: list(next) }), replace: true });
  };
  return (
    <Card
      title="Compare"
      flush={chosen.length > 1}
      actions={
        <label className="row small">
          <input
            type="checkbox"
            checked={same ?? false}
            onChange={(event) =>
              void navigate({
                search: (search) => ({ ...search, same: event.target.checked || undefined }),
                replace: true,
              })
            }
          />
          also what is the same
        </label>
      }
    >
      <div className="row" role="group" aria-label="versions to compare" style={{ padding: 8 }}>
        {versions.map((version) => (
          <label key={version.version} className="row small">
            <input
              type="checkbox"
              checked={chosen.includes(String(version.version))}
              onChange={() => toggle(String(version.version))}
            />
            {version.version}
          </label>
        ))}
      </div>
      {chosen.length > 1 ? (
        <Answer query={comparison}>
          {({ versions: compared, rows }) => {
            const shown = rows.filter((row) => same || row.differs);
            return shown.length === 0 ? (
              <Empty what="Nothing differs." />
            ) : (
              <DataTable
                label="comparison"
                rows={shown}
                rowKey={(row) => `${row.group} ${row.name}`}
                columns={[
                  { key: "group", header: "Of", value: (row) => row.group },
                  { key: "name", header: "Name", value: (row) => row.name },
                  ...compared.map((version, at) => ({
                    key: `version ${version.version}`,
                    header: `Version ${version.version}`,
                    value: (row: (typeof shown)[number]) => row.values[at],
                  })),
                ]}
              />
            );
          }}
        </Answer>
      ) : (
        <p className="muted">Tick two versions or more.</p>
      )}
    </Card>
  );
}
