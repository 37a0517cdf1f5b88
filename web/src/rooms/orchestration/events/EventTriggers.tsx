import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { EventTriggerView } from "../../../api/types.gen";
import { Ago } from "../../../ui/Ago";
import { Answer } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { CopyButton } from "../../../ui/CopyButton";
import { DataTable } from "../../../ui/DataTable";
import { Empty } from "../../../ui/Empty";
import { Message } from "../../../ui/Message";
import { Status } from "../../../ui/Status";
import { eventTriggersQuery } from "./queries";

/** The triggers that wait for events, where requests go, and how their sources do. */
export function EventTriggers() {
  const query = useQuery(eventTriggersQuery());
  return (
    <Card title="Triggers" flush>
      <Answer query={query} rows={3}>
        {(triggers) =>
          triggers.length === 0 ? (
            <Empty what="No pipeline waits for events. These are the kinds:" command="millrace explain" />
          ) : (
            <DataTable
              label="triggers"
              stacked
              rows={triggers}
              rowKey={(one) => `${one.pipeline}/${one.trigger}`}
              columns={[
                {
                  key: "state",
                  header: "State",
                  value: state,
                  cell: (one) => <Status status={state(one)} />,
                },
                {
                  key: "trigger",
                  header: "Trigger",
                  value: (one) => `${one.pipeline}/${one.trigger}`,
                  cell: (one) => (
                    <Link to="/pipelines/$name" params={{ name: one.pipeline }}>
                      {one.pipeline}/{one.trigger}
                    </Link>
                  ),
                },
                {
                  key: "watches",
                  header: "Watches",
                  value: (one) => `${one.kind} ${one.watches}`,
                  wrap: true,
                  cell: (one) => (
                    <span>
                      {one.kind} <code>{one.watches}</code>
                    </span>
                  ),
                },
                {
                  key: "hook",
                  header: "Requests go to",
                  value: (one) => one.hook,
                  cell: (one) =>
                    one.hook ? (
                      <span className="row" style={{ flexWrap: "nowrap" }}>
                        <code>{one.hook}</code>
                        <CopyButton text={`${window.location.origin}${one.hook}`} label="Copy the address" />
                      </span>
                    ) : (
                      <span className="muted">–</span>
                    ),
                },
                {
                  key: "found",
                  header: "Told of something",
                  value: (one) => one.found_at,
                  cell: (one) => (one.found_at ? <Ago at={one.found_at} /> : <span className="muted">–</span>),
                },
                {
                  key: "error",
                  header: "Problem",
                  wrap: true,
                  value: (one) => one.error,
                  cell: (one) =>
                    one.error ? (
                      <span className="wrong">
                        <Message text={one.error} />
                      </span>
                    ) : (
                      <span className="muted">–</span>
                    ),
                },
              ]}
            />
          )
        }
      </Answer>
    </Card>
  );
}

function state(trigger: EventTriggerView): string {
  if (trigger.error) return "failed";
  return trigger.asked_at || trigger.hook ? "ready" : "pending";
}
