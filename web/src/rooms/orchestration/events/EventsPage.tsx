import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useRef } from "react";
import { plural } from "../../../format/number";
import { Answer } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { CodeView } from "../../../ui/CodeView";
import { Empty } from "../../../ui/Empty";
import { PageHead } from "../../../ui/PageHead";
import { Source } from "../../../ui/Source";
import { pipelinesQuery } from "../queries";
import { EVENT_STATUSES } from "../search";
import { EventTable } from "./EventTable";
import { EventTriggers } from "./EventTriggers";
import { eventQuery, inboxQuery } from "./queries";
import { ReplayAll } from "./ReplayAll";

/** The inbox of event triggers. */
export function EventsPage() {
  const search = useSearch({ from: "/events" });
  const navigate = useNavigate({ from: "/events" });
  const inbox = useQuery(inboxQuery(search));
  const pipelines = useQuery(pipelinesQuery());
  const set = (change: typeof search) => void navigate({ search: { ...search, after: undefined, ...change } });
  const counted = (status: string) => inbox.data?.counts.find((one) => one.status === status)?.events ?? 0;
  return (
    <>
      <PageHead
        title="Events"
        about="What happened elsewhere, the run that it started, or why it started none. Each event starts one run, however often it comes."
      />
      <div className="row">
        <label className="row">
          Pipeline
          <select
            className="input"
            value={search.pipeline ?? ""}
            onChange={(event) => set({ pipeline: event.target.value || undefined, trigger: undefined })}
          >
            <option value="">all</option>
            {(pipelines.data ?? []).map((pipeline) => (
              <option key={pipeline.name}>{pipeline.name}</option>
            ))}
          </select>
        </label>
        <div className="row" role="group" aria-label="state" style={{ gap: 4 }}>
          <button
            type="button"
            className="button"
            aria-pressed={!search.status}
            onClick={() => set({ status: undefined })}
          >
            any
          </button>
          {EVENT_STATUSES.map((status) => (
            <button
              key={status}
              type="button"
              className="button"
              aria-pressed={search.status === status}
              onClick={() => set({ status })}
            >
              {status} {counted(status) > 0 && <span className="muted">{counted(status)}</span>}
            </button>
          ))}
        </div>
        {search.trigger && (
          <button
            type="button"
            className="button"
            aria-label={`of all triggers, not of ${search.trigger} alone`}
            onClick={() => set({ trigger: undefined })}
          >
            trigger {search.trigger} <span aria-hidden>×</span>
          </button>
        )}
        {counted("dead") > 0 && search.status !== "dead" && (
          <span className="wrong small">{plural(counted("dead"), "dead letter")}</span>
        )}
        {search.status === "dead" && inbox.data && <ReplayAll events={inbox.data.events} />}
      </div>
      <Card flush>
        <Answer query={inbox} rows={8}>
          {({ events }) =>
            events.length === 0 ? (
              <Empty
                what="No event here. This explains what can start a pipeline:"
                command="millrace explain webhook"
              />
            ) : (
              <EventTable events={events} shown={search.event} show={(event) => set({ event, after: search.after })} />
            )
          }
        </Answer>
      </Card>
      <div className="row">
        {search.after && (
          <button type="button" className="button" onClick={() => set({ after: undefined })}>
            Newest
          </button>
        )}
        {inbox.data?.next && (
          <button type="button" className="button" onClick={() => set({ after: inbox.data.next ?? undefined })}>
            Older
          </button>
        )}
      </div>
      {search.event && <EventValue id={search.event} />}
      <EventTriggers />
      <Source cli="millrace events" json={inbox.data} />
    </>
  );
}

/** What expressions see of an event. */
function EventValue({ id }: { id: string }) {
  const query = useQuery(eventQuery(id));
  const card = useRef<HTMLDivElement>(null);
  const loaded = query.data !== undefined;
  useEffect(() => {
    if (loaded) card.current?.scrollIntoView({ block: "nearest" });
  }, [loaded]);
  return (
    <div ref={card}>
      <Card title="What `event` is in expressions">
        <Answer query={query}>
          {({ value }) => <CodeView text={JSON.stringify(value, null, 2)} language="yaml" label="event" />}
        </Answer>
      </Card>
    </div>
  );
}
