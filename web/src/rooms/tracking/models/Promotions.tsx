import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { sessionQuery } from "../../../api/session";
import type { CastVote, PromotionView } from "../../../api/types.gen";
import { Ago } from "../../../ui/Ago";
import { Answer, explain } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { Empty } from "../../../ui/Empty";
import { Failure } from "../../../ui/Failure";
import { promotionsQuery, requestPromotion, voteOnPromotion, withdrawPromotion } from "../queries";

/** Requests to point an alias at a version, and a form for a new one. */
export function Promotions({ name, version }: { name: string; version: number }) {
  const promotions = useQuery(promotionsQuery(name));
  return (
    <>
      <Request name={name} version={version} />
      <Answer query={promotions}>
        {(found) =>
          found.length === 0 ? (
            <Card>
              <Empty
                what="Nobody has asked to promote a version of this model."
                command={`millrace models request ${name}@${version} champion`}
              />
            </Card>
          ) : (
            found.map((promotion) => <Promotion key={promotion.id} promotion={promotion} />)
          )
        }
      </Answer>
    </>
  );
}

function useChanged(name: string) {
  const client = useQueryClient();
  return () => client.invalidateQueries({ queryKey: ["models", name] });
}

function Request({ name, version }: { name: string; version: number }) {
  const [alias, setAlias] = useState("champion");
  const [comment, setComment] = useState("");
  const [by, setBy] = useState("");
  const asking = useMutation({
    mutationFn: () => requestPromotion(name, { version, alias, comment, by: by || undefined }),
    onSuccess: useChanged(name),
  });
  return (
    <Card title={`Ask to promote version ${version}`}>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          asking.mutate();
        }}
      >
        <div className="row">
          <Text label="Alias" value={alias} onChange={setAlias} />
          <Text label="Why" value={comment} onChange={setComment} />
          <Who value={by} onChange={setBy} />
          <button type="submit" className="button primary" disabled={asking.isPending || alias === ""}>
            Ask
          </button>
        </div>
        {asking.error && <Failure problem={explain(asking.error)} />}
      </form>
    </Card>
  );
}

function Promotion({ promotion }: { promotion: PromotionView }) {
  const yes = promotion.votes.filter((vote) => vote.approve).length;
  return (
    <Card
      title={
        <>
          {promotion.alias} to version {promotion.version}
        </>
      }
      actions={
        <span className={promotion.state === "approved" ? "tag accent" : "tag"}>
          {promotion.state}, {yes} of {promotion.approvals}
        </span>
      }
    >
      <div className="stack">
        <p>
          {promotion.by} asked <Ago at={promotion.at} />
          {promotion.comment && `: ${promotion.comment}`}
        </p>
        <p className="small muted clip" title={promotion.digest}>
          Of the content <span className="mono">{promotion.digest}</span>
        </p>
        {promotion.replaced !== null && <p className="small">The alias pointed at version {promotion.replaced}.</p>}
        {promotion.votes.length > 0 && (
          <ul style={{ margin: 0 }}>
            {promotion.votes.map((vote) => (
              <li key={vote.by}>
                {vote.by} {vote.approve ? "approves" : "rejects"} <Ago at={vote.at} />
                {vote.comment && `: ${vote.comment}`}
              </li>
            ))}
          </ul>
        )}
        {promotion.state === "pending" && (
          <>
            <p className="small muted">
              Decided by <span className="mono">{promotion.approvers.join(" or ")}</span>.
            </p>
            <Vote promotion={promotion} />
          </>
        )}
      </div>
    </Card>
  );
}

function Vote({ promotion }: { promotion: PromotionView }) {
  const [comment, setComment] = useState("");
  const [by, setBy] = useState("");
  const voting = useMutation({
    mutationFn: (vote: CastVote) => voteOnPromotion(promotion.id, vote),
    onSuccess: useChanged(promotion.model),
  });
  const withdrawing = useMutation({
    mutationFn: () => withdrawPromotion(promotion.id, by || undefined),
    onSuccess: useChanged(promotion.model),
  });
  const error = voting.error ?? withdrawing.error;
  const say = (approve: boolean) => voting.mutate({ approve, comment, by: by || undefined });
  return (
    <div className="stack">
      <div className="row">
        <Text label="Comment" value={comment} onChange={setComment} />
        <Who value={by} onChange={setBy} />
        <button type="button" className="button primary" disabled={voting.isPending} onClick={() => say(true)}>
          Approve
        </button>
        <button
          type="button"
          className="button"
          disabled={voting.isPending || comment.trim() === ""}
          title={comment.trim() === "" ? "Who rejects says why" : undefined}
          onClick={() => say(false)}
        >
          Reject
        </button>
        <button
          type="button"
          className="button"
          disabled={withdrawing.isPending}
          title={`${promotion.by} asked, and can take the request back`}
          onClick={() => withdrawing.mutate()}
        >
          Withdraw
        </button>
      </div>
      {error && <Failure problem={explain(error)} />}
    </div>
  );
}

/** Who acts: the login where there is one, else whoever one says. */
function Who({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  const session = useQuery(sessionQuery()).data;
  if (session?.needs_login) return <span className="muted small">as {session.name}</span>;
  return <Text label="Your name" value={value} onChange={onChange} />;
}

function Text({ label, value, onChange }: { label: string; value: string; onChange: (value: string) => void }) {
  return (
    <label className="row small" style={{ flex: "1 1 220px", maxWidth: 400 }}>
      {label}
      <input
        className="input"
        style={{ flex: 1, minWidth: 0 }}
        value={value}
        onChange={(event) => onChange(event.target.value)}
      />
    </label>
  );
}
