import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import type { ApprovalView, DecideApproval, JsonMap } from "../../../api/types.gen";
import { ValuesForm } from "../../../forms/ValuesForm";
import { explain } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { Failure } from "../../../ui/Failure";
import { decideApproval } from "../queries";

/** Yes or no, with what is to be filled in. */
export function DecideCard({ approval }: { approval: ApprovalView }) {
  const client = useQueryClient();
  const [comment, setComment] = useState("");
  const [by, setBy] = useState("");
  const deciding = useMutation({
    mutationFn: (decision: DecideApproval) => decideApproval(approval.id, decision),
    onSuccess: () => client.invalidateQueries({ queryKey: ["approvals"] }),
  });
  const who = by.trim() || undefined;
  // Where nobody logs in, another name may be one that is asked.
  const mayNot = who ? null : approval.may_not;
  const filled = Object.keys(approval.values).length > 0;
  return (
    <Card title="Decide" actions={approval.waits_for && <span className="muted">Waits {approval.waits_for}</span>}>
      <div className="stack">
        <div className="row">
          <label className="row small">
            Comment
            <input className="input" value={comment} onChange={(event) => setComment(event.target.value)} />
          </label>
          {approval.logged_in ? (
            <span className="muted small">as {approval.caller}</span>
          ) : (
            <label className="row small">
              Your name
              <input
                className="input"
                value={by}
                placeholder={approval.caller}
                onChange={(event) => setBy(event.target.value)}
              />
            </label>
          )}
        </div>
        <ValuesForm
          fields={filled ? [] : approval.form}
          submit="Approve"
          busy={deciding.isPending}
          disabled={mayNot !== null}
          label="decision"
          onSubmit={(values) => deciding.mutate({ approve: true, comment, form: values as JsonMap, by: who })}
        >
          <button
            type="button"
            className="button"
            disabled={deciding.isPending || comment.trim() === ""}
            title={comment.trim() === "" ? "Who rejects says why" : undefined}
            onClick={() => deciding.mutate({ approve: false, comment, by: who })}
          >
            Reject
          </button>
        </ValuesForm>
        {mayNot && <p className="small muted">{mayNot.replaceAll("`", "")}</p>}
        {deciding.error && <Failure problem={explain(deciding.error)} />}
      </div>
    </Card>
  );
}
