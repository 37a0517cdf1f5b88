import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import type { ApprovalPage } from "../../../api/types.gen";
import { plural } from "../../../format/number";
import { Answer } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { Empty } from "../../../ui/Empty";
import { PageHead } from "../../../ui/PageHead";
import { Source } from "../../../ui/Source";
import { approvalsQuery } from "../queries";
import { ApprovalTable } from "./ApprovalTable";
import { PromotionTable } from "./PromotionTable";

/** What waits for people, and what they decided. */
export function ApprovalsPage() {
  const search = useSearch({ from: "/approvals" });
  const navigate = useNavigate({ from: "/approvals" });
  const all = search.state === "all";
  const approvals = useQuery(approvalsQuery({ state: all ? undefined : "waiting", after: search.after, limit: 50 }));
  const set = (change: typeof search) => void navigate({ search: { ...search, after: undefined, ...change } });
  return (
    <>
      <PageHead
        title="Approvals"
        about="Steps, environments and promotions of models that wait for people."
        actions={
          <Link to="/environments" className="button">
            Environments
          </Link>
        }
      />
      <div className="row" role="group" aria-label="state">
        <button type="button" className="button" aria-pressed={!all} onClick={() => set({ state: undefined })}>
          waiting
        </button>
        <button type="button" className="button" aria-pressed={all} onClick={() => set({ state: "all" })}>
          all
        </button>
        {approvals.data && <span className="muted">{plural(approvals.data.waiting, "decision")} to make</span>}
      </div>
      <Answer query={approvals} rows={8}>
        {(page) => <Inbox page={page} all={all} />}
      </Answer>
      <div className="row">
        {search.after && (
          <button type="button" className="button" onClick={() => set({})}>
            Newest
          </button>
        )}
        {approvals.data?.next && (
          <button type="button" className="button" onClick={() => set({ after: approvals.data.next ?? undefined })}>
            Older
          </button>
        )}
      </div>
      {approvals.data && <Source cli={all ? "millrace approvals --all" : "millrace approvals"} json={approvals.data} />}
    </>
  );
}

function Inbox({ page, all }: { page: ApprovalPage; all: boolean }) {
  if (page.approvals.length === 0 && page.promotions.length === 0) {
    return (
      <Card>
        <Empty
          what={all ? "Nobody was ever asked to approve anything." : "Nothing waits for an approval."}
          command="millrace explain approve"
        />
      </Card>
    );
  }
  return (
    <>
      {page.approvals.length > 0 && (
        <Card title="Steps" flush>
          <ApprovalTable approvals={page.approvals} />
        </Card>
      )}
      {page.promotions.length > 0 && (
        <Card title="Promotions of models" flush>
          <PromotionTable promotions={page.promotions} />
        </Card>
      )}
    </>
  );
}
