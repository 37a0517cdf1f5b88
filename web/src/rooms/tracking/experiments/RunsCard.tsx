import { useCallback, useId, useMemo, useRef, useState } from "react";
import { count, plural } from "../../../format/number";
import { explain } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { NameField } from "../../../ui/NameField";
import { Failure } from "../../../ui/Failure";
import { Loading } from "../../../ui/Loading";
import { type ExperimentSearch, list } from "../search";
import { DeleteSelected } from "../lifecycle/DeleteSelected";
import { ColumnPanel } from "./ColumnPanel";
import type { RunColumn, RunKeys } from "./columns";
import { FilterField } from "./FilterField";
import { GroupTable } from "./GroupTable";
import { RunGrid } from "./RunGrid";
import { RunsFoot } from "./RunsFoot";
import { SavedViews } from "./SavedViews";
import { toggled } from "./selection";
import { nextSort } from "./sort";
import type { Runs } from "./useRuns";

interface RunsCardProps {
  experiment: string;
  runs: Runs;
  keys: RunKeys;
  columns: RunColumn[];
  selected: string[];
  search: ExperimentSearch;
  onChange: (change: ExperimentSearch) => void;
  onApply: (search: ExperimentSearch) => void;
}

/** What runs share beside parameters: `mlflow.parentRunId` gathers nested runs by the run that they are in. */
const SHARED = ["status", "tags.mlflow.parentRunId", "tags.mlflow.user", "tags.mlflow.source.name"];

/** The runs of an experiment as a table: filtered, sorted and paged by the server. */
export function RunsCard(props: RunsCardProps) {
  const { experiment, runs, keys, columns, selected, search, onChange, onApply } = props;
  const panel = useId();
  const opener = useRef<HTMLButtonElement>(null);
  const [open, setOpen] = useState(false);
  const close = () => {
    setOpen(false);
    opener.current?.focus();
  };
  const chosen = useMemo(() => new Set(selected), [selected]);
  const toggle = useCallback((id: string) => onChange({ runs: list(toggled(selected, id)) }), [selected, onChange]);
  const select = useCallback((ids: string[]) => onChange({ runs: list(ids) }), [onChange]);
  const sort = (key: string, add: boolean) => onChange({ sort: nextSort(search.sort, key, add) });
  const asked = Boolean(search.filter || search.sort);
  const groupings = useMemo(
    () => [
      ...keys.param_keys.map((name) => `params.${name}`),
      ...SHARED,
      ...(experiment === "*" ? ["experiment_id"] : []),
    ],
    [keys.param_keys, experiment],
  );
  return (
    <Card
      title={
        <span aria-live="polite">
          {runs.rows ? plural(runs.total, "run") : "Runs"}
          {search.filter && runs.rows && !runs.error && <span className="muted small"> match the filter</span>}
        </span>
      }
      actions={
        <>
          {runs.changed && (
            <button type="button" className="button" onClick={runs.renew}>
              Runs have changed. Show them
            </button>
          )}
          {selected.length > 0 && (
            <>
              <DeleteSelected ids={selected} onDone={() => select([])} />
              <button type="button" className="button quiet" onClick={() => select([])}>
                Clear {count(selected.length)} selected
              </button>
            </>
          )}
          <NameField
            label="group by"
            names={groupings}
            value={search.by ?? ""}
            none="nothing"
            onChange={(name) => onChange({ by: name || undefined })}
          />
          <SavedViews experiment={experiment} search={search} onApply={onApply} />
          <button
            ref={opener}
            type="button"
            className="button"
            aria-expanded={open}
            aria-controls={panel}
            onClick={() => setOpen(!open)}
          >
            Columns
          </button>
        </>
      }
    >
      <div className="runs">
        <FilterField
          filter={search.filter ?? ""}
          example={example(keys)}
          error={asked || runs.rows ? runs.error : null}
          old={runs.old}
          onFilter={(filter) => onChange({ filter: filter || undefined })}
        />
        <div className="with-panel">
          <div style={{ flex: 1, minWidth: 0 }}>
            {search.by ? (
              <GroupTable
                experiment={experiment}
                filter={search.filter}
                by={search.by}
                columns={columns}
                sort={search.sort}
                onSort={(key) => sort(key, false)}
                onOpen={(condition) => onChange({ by: undefined, filter: joined(search.filter, condition) })}
              />
            ) : (
              <Rows runs={runs} asked={asked}>
                <RunGrid
                  runs={runs}
                  columns={columns}
                  filter={search.filter}
                  sort={search.sort}
                  onSort={sort}
                  selected={chosen}
                  onToggle={toggle}
                  onSelect={select}
                />
                <RunsFoot runs={runs} columns={columns} selected={chosen} />
              </Rows>
            )}
          </div>
          {open && (
            <ColumnPanel
              id={panel}
              keys={keys}
              shown={columns}
              onChange={(names) => onChange({ columns: list(names) })}
              onClose={close}
            />
          )}
        </div>
      </div>
    </Card>
  );
}

function Rows({ runs, asked, children }: { runs: Runs; asked: boolean; children: React.ReactNode }) {
  if (!runs.rows) {
    if (!runs.error) return <Loading rows={8} />;
    if (!asked) return <Failure problem={explain(runs.error)} retry={runs.renew} />;
    return <p className="muted empty">No runs can be shown until the filter or the sort is right.</p>;
  }
  if (runs.rows.length === 0) return <p className="muted empty">No run matches the filter.</p>;
  return children;
}

function example({ metric_keys: [metric], param_keys: [param] }: RunKeys): string {
  const parts = [metric && `metrics.${quoted(metric)} > 0.5`, param && `params.${quoted(param)} in ('a', 'b')`];
  return parts.filter(Boolean).join(" and ") || "status = 'FINISHED'";
}

/** Both conditions. */
function joined(filter: string | undefined, condition: string): string {
  return filter ? `(${filter}) and ${condition}` : condition;
}

/** Names with unusual letters stand in backticks. */
function quoted(name: string): string {
  return /^\w+$/.test(name) ? name : `\`${name}\``;
}
