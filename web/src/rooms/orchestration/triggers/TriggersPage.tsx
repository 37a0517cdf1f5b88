import "../../../ui/windows.css";
import { useQuery } from "@tanstack/react-query";
import { plural } from "../../../format/number";
import { Answer } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { Empty } from "../../../ui/Empty";
import { PageHead } from "../../../ui/PageHead";
import { Source } from "../../../ui/Source";
import { triggersQuery } from "../queries";
import { TriggerTable } from "./TriggerTable";
import { triggerState } from "./triggerState";

/** Every trigger of the workspace: what it waits for, whether it fired, and why not. */
export function TriggersPage() {
  const triggers = useQuery(triggersQuery());
  const overdue = (triggers.data ?? []).filter((trigger) => triggerState(trigger) === "overdue").length;
  return (
    <>
      <PageHead
        title="Triggers"
        status={overdue > 0 && <span className="tag tone-bad">{plural(overdue, "trigger")} overdue</span>}
        about="What starts pipelines, when it fires next, and why it does not."
      />
      <Card flush>
        <Answer query={triggers} rows={6}>
          {(found) =>
            found.length === 0 ? (
              <Empty
                what="No pipeline has a trigger. Write one into its file:"
                command={'triggers: {daily: {cron: "0 6 * * *"}}'}
              />
            ) : (
              <TriggerTable triggers={found} />
            )
          }
        </Answer>
      </Card>
      <Source cli="millrace triggers" json={triggers.data} />
    </>
  );
}
