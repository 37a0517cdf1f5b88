import "../../../ui/windows.css";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import type { TriggerStatusView } from "../../../api/types.gen";
import { plural } from "../../../format/number";
import { Answer } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { Empty } from "../../../ui/Empty";
import { matches } from "../../../ui/matching";
import { PageHead } from "../../../ui/PageHead";
import { Source } from "../../../ui/Source";
import { triggersQuery } from "../queries";
import { TRIGGER_GROUPS, type TriggersSearch } from "../search";
import { TriggerTable } from "./TriggerTable";
import { triggerGroup, triggerState } from "./triggerState";

const GROUPS = { schedule: "schedules", window: "windows", event: "events" } as const;

/** Every trigger of the workspace: what it waits for, whether it fired, and why not. */
export function TriggersPage() {
  const search = useSearch({ from: "/triggers" });
  const triggers = useQuery(triggersQuery());
  const all = triggers.data ?? [];
  const overdue = all.filter((trigger) => triggerState(trigger) === "overdue").length;
  return (
    <>
      <PageHead
        title="Triggers"
        status={overdue > 0 && <span className="tag tone-bad">{plural(overdue, "trigger")} overdue</span>}
        about="What starts pipelines, when it fires next, and why it does not."
      />
      {all.length > 0 && <Filters all={all} search={search} />}
      <Card flush>
        <Answer query={triggers} rows={6}>
          {(found) =>
            found.length === 0 ? (
              <Empty
                what="No pipeline has a trigger. Write one into its file:"
                command={'triggers: {daily: {cron: "0 6 * * *"}}'}
              />
            ) : (
              <Shown triggers={chosen(found, search)} />
            )
          }
        </Answer>
      </Card>
      <Source cli="millrace triggers" json={triggers.data} />
    </>
  );
}

function Shown({ triggers }: { triggers: TriggerStatusView[] }) {
  if (triggers.length === 0) return <p className="muted body">No trigger is like that.</p>;
  return <TriggerTable triggers={triggers} />;
}

function chosen(all: TriggerStatusView[], { group, text }: TriggersSearch) {
  const grouped = group ? all.filter((trigger) => triggerGroup(trigger) === group) : all;
  return grouped.filter((trigger) => matches(words(trigger), text ?? ""));
}

const words = ({ pipeline, trigger, rule, description }: TriggerStatusView) =>
  `${pipeline}/${trigger} ${rule} ${description}`;

function Filters({ all, search }: { all: TriggerStatusView[]; search: TriggersSearch }) {
  const navigate = useNavigate({ from: "/triggers" });
  const set = (change: TriggersSearch) => void navigate({ search: { ...search, ...change }, replace: true });
  const counted = (group: string) => all.filter((trigger) => triggerGroup(trigger) === group).length;
  return (
    <div className="row">
      <input
        className="input"
        type="search"
        aria-label="Search triggers"
        placeholder="Search triggers"
        value={search.text ?? ""}
        onChange={(event) => set({ text: event.target.value || undefined })}
      />
      <div className="row" role="group" aria-label="what makes them fire" style={{ gap: 4 }}>
        <button type="button" className="button" aria-pressed={!search.group} onClick={() => set({ group: undefined })}>
          any
        </button>
        {TRIGGER_GROUPS.map((group) => (
          <button
            key={group}
            type="button"
            className="button"
            aria-pressed={search.group === group}
            onClick={() => set({ group })}
          >
            {GROUPS[group]} <span className="muted">{counted(group)}</span>
          </button>
        ))}
      </div>
    </div>
  );
}
