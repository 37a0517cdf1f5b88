import { useQuery } from "@tanstack/react-query";
import type { Json, SpanEventView, SpanView } from "../../../api/types.gen";
import { duration } from "../../../format/duration";
import { count } from "../../../format/number";
import { dateTime } from "../../../format/time";
import { Answer } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { Facts } from "../../../ui/Facts";
import { Status } from "../../../ui/Status";
import { Tabs } from "../../../ui/Tabs";
import type { SpanTab } from "../search";
import { kindWord } from "./kindLook";
import { Payload } from "./Payload";
import { spanQuery } from "./queries";

interface SpanPanelProps {
  trace: string;
  span: string;
  tab?: SpanTab;
  onTab: (tab: SpanTab) => void;
}

/** The chosen span: what went in and came out, what else is known, what happened. */
export function SpanPanel({ trace, span, tab = "content", onTab }: SpanPanelProps) {
  const query = useQuery(spanQuery(trace, span));
  return (
    <Answer query={query} rows={8}>
      {(found) => (
        <Card
          title={
            <span className="row">
              {found.name} {kindWord(found.kind) && <span className="tag accent">{kindWord(found.kind)}</span>}
              {found.status !== "UNSET" && <Status status={found.status} />}
            </span>
          }
        >
          <div className="stack">
            <p className="muted small">
              {dateTime(found.started_at)}, took {duration(found.duration_ms)}
              {found.tokens && `, ${count(found.tokens.input)} tokens in, ${count(found.tokens.output)} out`}
            </p>
            {found.message && <p className="problem">{found.message}</p>}
            <Tabs
              tabs={[
                { key: "content", label: "Inputs and outputs" },
                { key: "attributes", label: `Attributes ${Object.keys(found.attributes).length}` },
                { key: "events", label: `Events ${found.events.length}` },
              ]}
              value={tab}
              onChange={onTab}
              label="parts of the span"
            >
              {tab === "content" && <Content span={found} />}
              {tab === "attributes" && (
                <Facts facts={Object.entries(found.attributes).map(([name, value]) => [name, plain(value)])} />
              )}
              {tab === "events" && <Events events={found.events} />}
            </Tabs>
          </div>
        </Card>
      )}
    </Answer>
  );
}

function Content({ span }: { span: SpanView }) {
  if (span.inputs === null && span.outputs === null)
    return <p className="muted">This span says nothing of what went in and came out.</p>;
  return (
    <>
      <Payload key={`${span.id} in`} title="Inputs" value={span.inputs} />
      <Payload key={`${span.id} out`} title="Outputs" value={span.outputs} />
    </>
  );
}

function Events({ events }: { events: SpanEventView[] }) {
  if (events.length === 0) return <p className="muted">Nothing happened meanwhile.</p>;
  return events.map((event, index) => (
    // oxlint-disable-next-line react/no-array-index-key
    <section key={index} className="stack" style={{ gap: 4 }}>
      <h3>
        {event.name} <span className="muted small">after {duration(event.at_ms)}</span>
      </h3>
      {event.name === "exception" ? (
        <>
          <p className="problem">
            {plain(event.attributes["exception.type"] ?? "")} {plain(event.attributes["exception.message"] ?? "")}
          </p>
          {event.attributes["exception.stacktrace"] !== undefined && (
            <pre className="code" tabIndex={0} aria-label="stack trace">
              {plain(event.attributes["exception.stacktrace"])}
            </pre>
          )}
        </>
      ) : (
        <Facts facts={Object.entries(event.attributes).map(([name, value]) => [name, plain(value)])} />
      )}
    </section>
  ));
}

function plain(value: Json): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
