import { useQuery } from "@tanstack/react-query";
import type { RunGroupView } from "../../../api/types.gen";
import { csv } from "../../../format/csv";
import { count, number } from "../../../format/number";
import { Answer } from "../../../ui/Answer";
import { save } from "../../../ui/save";
import { runGroupsQuery } from "../queries";
import { type RunColumn, columnOf } from "./columns";
import { sortPlace } from "./sort";

interface GroupTableProps {
  experiment: string;
  filter?: string;
  /** `params.depth`. */
  by: string;
  columns: RunColumn[];
  sort?: string;
  onSort: (key: string) => void;
  /** Goes to the runs of a group. */
  onOpen: (condition: string) => void;
}

/** The condition that the runs of a group fulfil, in the server's language. */
export function conditionOf(by: string, value: string | null): string {
  const [, family, name = ""] = /^(params|tags)\.(.+)$/.exec(by) ?? [];
  const field = family ? `${family}.${/^\w+$/.test(name) ? name : `\`${name}\``}` : by;
  return value === null ? `${field} is null` : `${field} = '${value.replaceAll("'", "''")}'`;
}

/** The runs gathered by a value that they share: how many, and the mean and range of each metric. */
export function GroupTable({ experiment, filter, by, columns, sort, onSort, onOpen }: GroupTableProps) {
  const metrics = columns.filter((column) => column.family === "metrics");
  const keys = metrics.map((column) => column.key);
  // A sort that was made for runs may be by something that groups do not have.
  const known = sort && [...keys, "value"].includes(sort.replace(/^-/, "")) ? sort : undefined;
  const query = useQuery(runGroupsQuery({ experiment, filter, by, columns: keys, sort: known }));
  const name = columnOf(by)?.name ?? by;
  return (
    <Answer query={query} rows={6}>
      {({ groups, total, runs }) => (
        <>
          <div
            className="table-scroll"
            style={{ maxHeight: "52vh" }}
            tabIndex={0}
            role="region"
            aria-label="groups of runs"
          >
            <table className="table">
              <thead>
                <tr>
                  <th scope="col">{name}</th>
                  <th scope="col" className="num">
                    Runs
                  </th>
                  {metrics.map((column) => (
                    <Head key={column.key} column={column} sort={known} onSort={onSort} />
                  ))}
                </tr>
              </thead>
              <tbody>
                {groups.map((group) => (
                  <tr key={group.value ?? "\0"}>
                    <th scope="row" style={{ position: "static", color: "var(--text)", fontSize: 13 }}>
                      <button
                        type="button"
                        className="sort"
                        style={{ color: "var(--accent-text)" }}
                        title="Show these runs"
                        onClick={() => onOpen(conditionOf(by, group.value))}
                      >
                        {group.value ?? "none"}
                      </button>
                    </th>
                    <td className="num">{count(group.runs)}</td>
                    {group.metrics.map((spread, index) => (
                      <td key={keys[index]} className="num">
                        {spread ? (
                          <span
                            title={`mean of ${count(spread.count)} runs, ${number(spread.min)} to ${number(spread.max)}`}
                          >
                            {number(spread.mean)}{" "}
                            {spread.count > 1 && (
                              <span className="muted small">
                                {number(spread.min)}–{number(spread.max)}
                              </span>
                            )}
                          </span>
                        ) : (
                          <span className="muted">–</span>
                        )}
                      </td>
                    ))}
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
          <div className="row spread run-foot small">
            <span className="muted">
              {count(runs)} runs in {count(total)} groups
              {groups.length < total && `, the first ${count(groups.length)} shown`}; mean and range of each metric
            </span>
            <button type="button" className="button quiet small" onClick={() => download(name, keys, groups)}>
              Export CSV
            </button>
          </div>
        </>
      )}
    </Answer>
  );
}

function Head({ column, sort, onSort }: { column: RunColumn; sort?: string; onSort: (key: string) => void }) {
  const place = sortPlace(sort, column.key);
  const direction = place && (place.descending ? "descending" : "ascending");
  return (
    <th scope="col" className="num" aria-sort={direction ?? undefined}>
      <button type="button" className="sort" onClick={() => onSort(column.key)}>
        {column.name} {direction && <span className="sorted">{direction === "ascending" ? "▲" : "▼"}</span>}
      </button>
    </th>
  );
}

function download(name: string, keys: readonly string[], groups: readonly RunGroupView[]) {
  const head = [name, "runs", ...keys.flatMap((key) => [key, `${key} min`, `${key} max`, `${key} runs`])];
  const rows = groups.map((group) => [
    group.value,
    group.runs,
    ...group.metrics.flatMap((spread) => [spread?.mean, spread?.min, spread?.max, spread?.count ?? 0]),
  ]);
  save("groups.csv", csv(head, rows), "text/csv");
}
