import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import type { WebhookView } from "../../../api/types.gen";
import { Ago } from "../../../ui/Ago";
import { Answer, explain } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { DataTable } from "../../../ui/DataTable";
import { Failure } from "../../../ui/Failure";
import { PageHead } from "../../../ui/PageHead";
import { Source } from "../../../ui/Source";
import { Status } from "../../../ui/Status";
import { Deliveries } from "./Deliveries";
import { createWebhook, removeWebhook, setActive, testWebhook, webhooksQuery } from "./queries";
import { WebhookForm } from "./WebhookForm";

/** What a test of a webhook came to. */
function outcome({
  success,
  response_status,
  response_body,
  error_message,
}: Awaited<ReturnType<typeof testWebhook>>["result"]) {
  const said = response_status === undefined ? error_message : `${response_status} ${response_body ?? ""}`;
  return `${success ? "It answered" : "It failed"}: ${said?.trim() || "nothing was said"}`;
}

export function WebhooksPage() {
  const { webhook } = useSearch({ from: "/webhooks" });
  const navigate = useNavigate({ from: "/webhooks" });
  const client = useQueryClient();
  const query = useQuery(webhooksQuery());
  const [open, setOpen] = useState(false);
  const change = useMutation({
    mutationFn: (run: () => Promise<unknown>) => run(),
    onSuccess: () => {
      setOpen(false);
      return client.invalidateQueries({ queryKey: ["webhooks"] });
    },
  });
  const test = useMutation({ mutationFn: ({ id }: WebhookView) => testWebhook(id) });
  const { mutate } = change;
  const show = (id: string | undefined) =>
    void navigate({ search: { webhook: id }, replace: true, resetScroll: false });
  return (
    <>
      <PageHead
        title="Webhooks"
        about="Who is told of changes in the registry: signed, tried again for about an hour, then kept as a dead letter."
        actions={
          !open && (
            <button type="button" className="button primary" onClick={() => setOpen(true)}>
              New webhook
            </button>
          )
        }
      />
      <Answer query={query}>
        {({ webhooks, known_events }) => (
          <>
            {open && (
              <Card title="New webhook">
                <WebhookForm
                  events={known_events}
                  busy={change.isPending}
                  onCancel={() => setOpen(false)}
                  onDone={(given) => mutate(() => createWebhook(given))}
                />
              </Card>
            )}
            {change.error && <Failure problem={explain(change.error)} />}
            {test.error && <Failure problem={explain(test.error)} />}
            {test.data && (
              <p role="status" className={test.data.result.success ? "" : "wrong"}>
                {test.variables?.name}: {outcome(test.data.result)}
              </p>
            )}
            <Card flush>
              {webhooks.length === 0 ? (
                <p className="muted empty">Nobody is told of anything yet.</p>
              ) : (
                <DataTable
                  label="webhooks"
                  rows={webhooks}
                  rowKey={(one) => one.id}
                  selected={webhook}
                  columns={[
                    {
                      key: "name",
                      header: "Name",
                      value: (one) => one.name,
                      cell: (one) => (
                        <button
                          type="button"
                          className="sort"
                          style={{ color: "var(--accent-text)" }}
                          onClick={() => show(one.id)}
                        >
                          {one.name}
                        </button>
                      ),
                    },
                    { key: "url", header: "Address", value: (one) => one.url },
                    { key: "events", header: "Told of", value: (one) => one.events.join(", ") },
                    {
                      key: "active",
                      header: "State",
                      value: (one) => (one.active ? "active" : "off"),
                      cell: (one) => <Status status={one.active ? "on" : "off"} />,
                    },
                    { key: "signed", header: "Signed", value: (one) => (one.signed ? "yes" : "no") },
                    {
                      key: "created",
                      header: "Made",
                      value: (one) => one.created_at,
                      cell: (one) => <Ago at={one.created_at} />,
                    },
                    {
                      key: "do",
                      header: <span className="visually-hidden">Do</span>,
                      value: () => "",
                      cell: (one) => (
                        <span className="row" style={{ flexWrap: "nowrap" }}>
                          <button
                            type="button"
                            className="button"
                            disabled={test.isPending}
                            onClick={() => test.mutate(one)}
                          >
                            Test
                          </button>
                          <button
                            type="button"
                            className="button"
                            onClick={() => mutate(() => setActive(one.id, !one.active))}
                          >
                            {one.active ? "Turn off" : "Turn on"}
                          </button>
                          <DeleteButton name={one.name} onDelete={() => mutate(() => removeWebhook(one.id))} />
                        </span>
                      ),
                    },
                  ]}
                />
              )}
            </Card>
          </>
        )}
      </Answer>
      {webhook && <Deliveries key={webhook} webhook={webhook} />}
      <Source cli={`curl -s ${window.location.origin}/api/webhooks`} json={query.data} />
    </>
  );
}

/** Asks once more before it deletes. */
function DeleteButton({ name, onDelete }: { name: string; onDelete: () => void }) {
  const [sure, setSure] = useState(false);
  return (
    <button
      type="button"
      className="button"
      aria-label={sure ? `Really delete ${name}` : `Delete ${name}`}
      onBlur={() => setSure(false)}
      onClick={() => (sure ? onDelete() : setSure(true))}
    >
      {sure ? "Really?" : "Delete"}
    </button>
  );
}
