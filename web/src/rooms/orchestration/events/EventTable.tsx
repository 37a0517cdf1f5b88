import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { InboxEventView } from "../../../api/types.gen";
import { short } from "../../../format/id";
import { plural } from "../../../format/number";
import { plainTimes } from "../../../format/time";
import { Ago } from "../../../ui/Ago";
import { explain } from "../../../ui/Answer";
import { DataTable } from "../../../ui/DataTable";
import { Failure } from "../../../ui/Failure";
import { Message } from "../../../ui/Message";
import { Status } from "../../../ui/Status";
import { replayEvent } from "./queries";

interface EventTableProps {
  events: InboxEventView[];
  shown: string | undefined;
  show: (id: string | undefined) => void;
}

/** What came, and what became of it. */
export function EventTable({ events, shown, show }: EventTableProps) {
  const client = useQueryClient();
  const replay = useMutation({
    mutationFn: replayEvent,
    onSuccess: () => client.invalidateQueries({ queryKey: ["inbox"] }),
  });
  return (
    <>
      {replay.error && <Failure problem={explain(replay.error)} />}
      <DataTable
        label="events"
        stacked
        rows={events}
        rowKey={(event) => event.id}
        selected={shown}
        columns={[
          {
            key: "status",
            header: "State",
            value: (event) => event.status,
            cell: (event) => <Status status={event.status} />,
          },
          {
            key: "what",
            header: "What happened",
            value: (event) => `${event.type} ${event.subject ?? ""}`,
            wrap: true,
            cell: (event) => (
              <span>
                <code>{event.type}</code> {event.subject}
              </span>
            ),
          },
          {
            key: "trigger",
            header: "Trigger",
            value: (event) => `${event.pipeline}/${event.trigger}`,
            cell: (event) => (
              <Link to="/pipelines/$name" params={{ name: event.pipeline }}>
                {event.pipeline}/{event.trigger}
              </Link>
            ),
          },
          {
            key: "run",
            header: "Run",
            value: (event) => event.run_id,
            cell: (event) =>
              event.run_id ? (
                <Link to="/runs/$run" params={{ run: event.run_id }} className="mono">
                  {short(event.run_id)}
                </Link>
              ) : (
                <span className="muted">–</span>
              ),
          },
          {
            key: "why",
            header: "Why",
            wrap: true,
            value: (event) => why(event),
            cell: (event) => (
              <span>
                <Message text={plainTimes(why(event))} />
                {event.next_at && event.status === "waiting" && (
                  <span className="muted">
                    {" "}
                    (again <Ago at={event.next_at} />)
                  </span>
                )}
              </span>
            ),
          },
          {
            key: "received",
            header: "Came",
            value: (event) => event.received_at,
            cell: (event) => <Ago at={event.received_at} />,
          },
          {
            key: "do",
            header: <span className="visually-hidden">Do</span>,
            value: () => "",
            cell: (event) => (
              <span className="row" style={{ flexWrap: "nowrap" }}>
                <button
                  type="button"
                  className="button"
                  aria-expanded={shown === event.id}
                  onClick={() => show(shown === event.id ? undefined : event.id)}
                >
                  Show
                </button>
                {(event.status === "dead" || event.status === "filtered") && (
                  <button
                    type="button"
                    className="button"
                    disabled={replay.isPending}
                    onClick={() => replay.mutate(event.id)}
                  >
                    Replay
                  </button>
                )}
              </span>
            ),
          },
        ]}
      />
    </>
  );
}

/** Why an event is where it is, in a sentence; empty if there is nothing to say. */
export function why(event: InboxEventView): string {
  const parts = [event.why];
  if (event.status === "held") parts.push("waits for its batch, for quiet, or for a run of its key");
  if (event.attempts > 0 && event.status === "waiting") parts.push(`tried ${plural(event.attempts, "time")} so far`);
  if (event.repeats > 0) parts.push(`came ${plural(event.repeats, "more time")}`);
  return parts.filter(Boolean).join("; ");
}
