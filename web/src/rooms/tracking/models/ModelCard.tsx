import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import type { ModelCardView } from "../../../api/types.gen";
import { Ago } from "../../../ui/Ago";
import { Answer, explain } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { Empty } from "../../../ui/Empty";
import { Failure } from "../../../ui/Failure";
import { Markdown } from "../../../ui/markdown/Markdown";
import { modelCardQuery, writeModelCard } from "../queries";

/** What people wrote about a version, and what is known about it. */
export function ModelCard({ name, version }: { name: string; version: number }) {
  const card = useQuery(modelCardQuery(name, version));
  return (
    <Answer query={card}>
      {(found) => (
        <>
          <Written key={found.revision} name={name} version={version} card={found} />
          <Card title="What is known">
            <Markdown text={found.generated} own />
          </Card>
        </>
      )}
    </Answer>
  );
}

function Written({ name, version, card }: { name: string; version: number; card: ModelCardView }) {
  const client = useQueryClient();
  const [typed, setTyped] = useState<string | null>(null);
  const saving = useMutation({
    mutationFn: (content: string) => writeModelCard(name, version, content),
    onSuccess: (kept) => {
      client.setQueryData(modelCardQuery(name, version).queryKey, kept);
      setTyped(null);
    },
  });
  const editing = typed !== null;
  return (
    <Card
      title="Model card"
      actions={
        editing ? (
          <>
            <button type="button" className="button" onClick={() => setTyped(null)}>
              Discard
            </button>
            <button
              type="button"
              className="button primary"
              disabled={saving.isPending}
              onClick={() => saving.mutate(typed)}
            >
              Save
            </button>
          </>
        ) : (
          <button type="button" className="button" onClick={() => setTyped(card.written ?? "")}>
            {card.written === null ? "Write" : "Edit"}
          </button>
        )
      }
    >
      <div className="stack">
        {editing && (
          <textarea
            className="input mono"
            rows={14}
            aria-label="Model card, Markdown"
            value={typed}
            onChange={(event) => setTyped(event.target.value)}
          />
        )}
        {saving.error && <Failure problem={explain(saving.error)} />}
        {!editing && card.written !== null && <Markdown text={card.written} own />}
        {!editing && card.written === null && (
          <Empty
            what="Nobody has written about this version yet: what it is for, what it is not for, whom it may harm."
            command={`millrace models card ${name}@${version} --write card.md`}
          />
        )}
        {card.written_at && (
          <p className="small muted">
            Revision {card.revision} by {card.written_by}, <Ago at={card.written_at} />
          </p>
        )}
      </div>
    </Card>
  );
}
