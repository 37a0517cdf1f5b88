import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import type { DeliveryView } from "../../../api/types.gen";
import { plural } from "../../../format/number";
import { Ago } from "../../../ui/Ago";
import { Answer, explain } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { CodeView } from "../../../ui/CodeView";
import { DataTable } from "../../../ui/DataTable";
import { Failure } from "../../../ui/Failure";
import { Status } from "../../../ui/Status";
import { deliveriesQuery, retryDelivery } from "./queries";

/** What was sent to a webhook, what waits, and what was given up. */
export function Deliveries({ webhook }: { webhook: string }) {
  const client = useQueryClient();
  const query = useQuery(deliveriesQuery(webhook));
  const [shown, setShown] = useState<string | null>(null);
  const retry = useMutation({
    mutationFn: (delivery: string) => retryDelivery(webhook, delivery),
    onSuccess: () => client.invalidateQueries({ queryKey: ["webhooks"] }),
  });
  const dead = query.data?.filter(({ state }) => state === "dead").length ?? 0;
  const body = query.data?.find(({ id }) => id === shown)?.body;
  return (
    <Card
      title="Deliveries"
      actions={dead > 0 && <span className="wrong small">{plural(dead, "dead letter")}</span>}
      flush
    >
      {retry.error && <Failure problem={explain(retry.error)} />}
      <Answer query={query}>
        {(found) =>
          found.length === 0 ? (
            <p className="muted empty">Nothing was sent lately. What arrived or was given up is kept for some days.</p>
          ) : (
            <DataTable
              label="deliveries"
              rows={found}
              rowKey={(one) => one.id}
              selected={shown}
              columns={[
                {
                  key: "state",
                  header: "State",
                  value: (one) => one.state,
                  cell: (one) => <Status status={one.state} />,
                },
                { key: "event", header: "Event", value: (one) => one.event },
                { key: "attempts", header: "Tries", numeric: true, value: (one) => one.attempts },
                { key: "at", header: "When", value: (one) => one.at, cell: (one) => <When delivery={one} /> },
                { key: "error", header: "Why it failed", value: (one) => one.error },
                {
                  key: "do",
                  header: <span className="visually-hidden">Do</span>,
                  value: () => "",
                  cell: (one) => (
                    <span className="row" style={{ flexWrap: "nowrap" }}>
                      <button
                        type="button"
                        className="button"
                        aria-expanded={shown === one.id}
                        onClick={() => setShown(shown === one.id ? null : one.id)}
                      >
                        Body
                      </button>
                      {one.state === "dead" && (
                        <button
                          type="button"
                          className="button"
                          disabled={retry.isPending}
                          onClick={() => retry.mutate(one.id)}
                        >
                          Send again
                        </button>
                      )}
                    </span>
                  ),
                },
              ]}
            />
          )
        }
      </Answer>
      {body !== undefined && (
        <div style={{ padding: 12 }}>
          <CodeView text={JSON.stringify(body, null, 2)} language="yaml" label="body" />
        </div>
      )}
    </Card>
  );
}

function When({ delivery: { state, at } }: { delivery: DeliveryView }) {
  const words = { delivered: "arrived", dead: "given up", retrying: "next try" }[state] ?? "due";
  return (
    <span className="nowrap">
      {words} <Ago at={at} />
    </span>
  );
}
