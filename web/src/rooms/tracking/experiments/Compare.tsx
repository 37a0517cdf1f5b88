import { useQuery } from "@tanstack/react-query";
import { useCallback, useMemo } from "react";
import type { TrackedRun } from "../../../api/types.gen";
import { plural } from "../../../format/number";
import { Answer } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { Tabs } from "../../../ui/Tabs";
import { type RunsAsked, runsByIdQuery } from "../queries";
import { type CompareView, type ExperimentSearch, list, words } from "../search";
import { allKeys, type RunColumn, type RunKeys } from "./columns";
import { CompareImages } from "./CompareImages";
import { Curves } from "./Curves";
import { Differences } from "./Differences";
import { Parallel } from "./Parallel";
import { firstFields } from "./plot";
import { Scatter } from "./Scatter";
import { toggled } from "./selection";

interface CompareProps {
  /** What the table shows. */
  asked: Omit<RunsAsked, "columns">;
  keys: RunKeys;
  columns: RunColumn[];
  rows: TrackedRun[] | undefined;
  selected: string[];
  search: ExperimentSearch;
  onChange: (change: ExperimentSearch) => void;
}

const VIEWS: { key: CompareView; label: string }[] = [
  { key: "curves", label: "Curves" },
  { key: "parallel", label: "Parallel coordinates" },
  { key: "scatter", label: "Scatter" },
  { key: "differences", label: "Differences" },
  { key: "images", label: "Images" },
];
/** Runs that are compared until some are selected. */
const FIRST = 10;
const NONE: TrackedRun[] = [];

/** The selected runs beside each other, or the first of the table; plots of many show what the table shows. */
export function Compare({ asked, keys, columns, rows, selected, search, onChange }: CompareProps) {
  // As one text, so that a further page of rows draws nothing here anew.
  const first = list((rows ?? []).slice(0, FIRST).map((run) => run.id));
  const compared = list(selected) ?? first;
  const ids = useMemo(() => words(compared), [compared]);
  const found = useQuery(runsByIdQuery(asked.experiment, ids));
  const view = search.view ?? "curves";
  const runs = useMemo(() => inOrder(found.data?.runs ?? [], ids), [found.data, ids]);
  const names = useMemo(() => allKeys(keys), [keys]);
  const fields = useMemo(() => firstFields(columns, asked.sort), [columns, asked.sort]);
  const pick = useCallback((id: string) => onChange({ runs: list(toggled(selected, id)) }), [selected, onChange]);
  if (ids.length === 0) return null;
  const many = view === "parallel" || view === "scatter";
  const plot = { asked, names, first: fields, selected: selected.length > 0 ? runs : NONE, onPick: pick };
  return (
    <Card
      title={title(many, selected.length, ids.length)}
      actions={selected.length === 0 && !many && <span className="muted small">tick runs above to compare others</span>}
    >
      <div className="stack">
        <Tabs
          tabs={VIEWS}
          value={view}
          onChange={(next) => onChange({ view: next === "curves" ? undefined : next })}
          label="Compare"
        >
          {view === "parallel" && <Parallel {...plot} chosen={search.axes} onChoose={(axes) => onChange({ axes })} />}
          {view === "scatter" && <Scatter {...plot} search={search} onChange={onChange} />}
          {!many && (
            <Answer query={found} rows={6}>
              {() =>
                view === "images" ? (
                  <CompareImages runs={runs} search={search} onChange={onChange} />
                ) : view === "differences" ? (
                  <Differences runs={runs} same={search.same ?? false} onSame={(same) => onChange({ same })} />
                ) : (
                  <Curves
                    runs={runs}
                    keys={keys.metric_keys}
                    groups={keys.param_keys}
                    search={search}
                    onChange={onChange}
                  />
                )
              }
            </Answer>
          )}
        </Tabs>
      </div>
    </Card>
  );
}

function title(many: boolean, selected: number, compared: number): string {
  if (many) return selected > 0 ? `Compare, ${plural(selected, "selected run")} in bold` : "Compare";
  return selected > 0 ? `Compare ${plural(selected, "selected run")}` : `Compare the first ${plural(compared, "run")}`;
}

function inOrder(runs: readonly TrackedRun[], ids: readonly string[]): TrackedRun[] {
  const byId = new Map(runs.map((run) => [run.id, run]));
  return ids.map((id) => byId.get(id)).filter((run) => run !== undefined);
}
