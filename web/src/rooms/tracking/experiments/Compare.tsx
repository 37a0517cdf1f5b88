import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import type { TrackedRun } from "../../../api/types.gen";
import { plural } from "../../../format/number";
import { Answer } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { Tabs } from "../../../ui/Tabs";
import { type RunsAsked, runsByIdQuery } from "../queries";
import { type CompareView, type ExperimentSearch, list, words } from "../search";
import type { RunKeys } from "./columns";
import { Curves } from "./Curves";
import { Differences } from "./Differences";

interface CompareProps {
  /** What the table shows. */
  asked: Omit<RunsAsked, "columns">;
  keys: RunKeys;
  rows: TrackedRun[] | undefined;
  selected: string[];
  search: ExperimentSearch;
  onChange: (change: ExperimentSearch) => void;
}

const VIEWS: { key: CompareView; label: string }[] = [
  { key: "curves", label: "Curves" },
  { key: "differences", label: "Differences" },
];
/** Runs that are compared until some are selected. */
const FIRST = 10;

/** The selected runs beside each other, or the first of the table. */
export function Compare({ asked, keys, rows, selected, search, onChange }: CompareProps) {
  // As one text, so that a further page of rows draws nothing here anew.
  const first = list((rows ?? []).slice(0, FIRST).map((run) => run.id));
  const compared = list(selected) ?? first;
  const ids = useMemo(() => words(compared), [compared]);
  const found = useQuery(runsByIdQuery(asked.experiment, ids));
  const view = search.view ?? "curves";
  const runs = useMemo(() => inOrder(found.data?.runs ?? [], ids), [found.data, ids]);
  if (ids.length === 0) return null;
  return (
    <Card
      title={
        selected.length > 0
          ? `Compare ${plural(selected.length, "selected run")}`
          : `Compare the first ${plural(ids.length, "run")}`
      }
      actions={selected.length === 0 && <span className="muted small">tick runs above to compare others</span>}
    >
      <Tabs
        tabs={VIEWS}
        value={view}
        onChange={(next) => onChange({ view: next === "curves" ? undefined : next })}
        label="Compare"
      >
        <Answer query={found} rows={6}>
          {() =>
            view === "differences" ? (
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
      </Tabs>
    </Card>
  );
}

function inOrder(runs: readonly TrackedRun[], ids: readonly string[]): TrackedRun[] {
  const byId = new Map(runs.map((run) => [run.id, run]));
  return ids.map((id) => byId.get(id)).filter((run) => run !== undefined);
}
