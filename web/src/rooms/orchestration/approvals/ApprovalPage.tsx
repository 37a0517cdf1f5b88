import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import type { ApprovalView } from "../../../api/types.gen";
import { short } from "../../../format/id";
import { Ago } from "../../../ui/Ago";
import { Answer } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { Facts } from "../../../ui/Facts";
import { PageHead } from "../../../ui/PageHead";
import { Source } from "../../../ui/Source";
import { Status } from "../../../ui/Status";
import { approvalQuery } from "../queries";
import { DecideCard } from "./DecideCard";
import { SubjectLink } from "./SubjectLink";

/** One approval: what is asked, of whom, and what they said. Opening it decides nothing. */
export function ApprovalPage() {
  const { approval } = useParams({ from: "/approvals/$approval" });
  const query = useQuery({
    ...approvalQuery(approval),
    refetchInterval: ({ state }) => (state.data?.state === "waiting" ? 10_000 : false),
  });
  return (
    <Answer query={query} rows={8}>
      {(view) => <ApprovalBody approval={view} />}
    </Answer>
  );
}

function ApprovalBody({ approval }: { approval: ApprovalView }) {
  return (
    <>
      <PageHead
        title={approval.subject.label}
        status={<Status status={approval.state} />}
        about={approval.message || `${approval.step} of ${approval.pipeline} asks for approval.`}
        actions={
          <Link to="/runs/$run" params={{ run: approval.run }} search={{ step: approval.step }} className="button">
            Run
          </Link>
        }
      />
      {approval.state === "waiting" && <DecideCard key={approval.decisions.length} approval={approval} />}
      <Card title="What is asked">
        <ApprovalFacts approval={approval} />
      </Card>
      <Card title="Decisions">
        <Decisions approval={approval} />
      </Card>
      <Source cli={`millrace approvals ${short(approval.id)}`} json={approval} />
    </>
  );
}

const people = (names: string[] | null) => (names && names.length > 0 ? ` (${names.join(", ")})` : "");

function ApprovalFacts({ approval }: { approval: ApprovalView }) {
  return (
    <Facts
      facts={[
        ["subject", <SubjectLink key="subject" subject={approval.subject} run={approval.run} />],
        [
          "digest",
          <span key="digest" className="mono small">
            {approval.subject.digest}
          </span>,
        ],
        [
          "step",
          <Link key="run" to="/runs/$run" params={{ run: approval.run }} search={{ step: approval.step }}>
            {approval.pipeline}/{approval.step} <span className="mono muted">{short(approval.run)}</span>
          </Link>,
        ],
        ["environment", approval.environment],
        ["run started by", approval.asked_by ?? "a trigger"],
        [
          "asked",
          approval.approvers
            .map(({ name, people: names }) => name + (name.startsWith("user:") ? "" : people(names)))
            .join(", "),
        ],
        ["approvals", `${approval.given} of ${approval.needed}${approval.each ? ", one of each who is asked" : ""}`],
        ["since", <Ago key="since" at={approval.asked_at} />],
        ["until", approval.deadline && <Ago key="until" at={approval.deadline} />],
        ["then", approval.deadline && approval.on_timeout],
        ["escalated", approval.escalated_at && <Ago key="escalated" at={approval.escalated_at} />],
        ...Object.entries(approval.values).map(([name, value]): [string, string] => [
          name,
          typeof value === "string" ? value : JSON.stringify(value),
        ]),
        ["reason", approval.reason],
        ["decided", approval.decided_at && <Ago key="decided" at={approval.decided_at} />],
      ]}
    />
  );
}

function Decisions({ approval }: { approval: ApprovalView }) {
  if (approval.decisions.length === 0) return <p className="muted">Nobody has said anything yet.</p>;
  return (
    <ul>
      {approval.decisions.map((decision) => (
        <li key={decision.by}>
          <strong>{decision.by}</strong> {decision.approve ? "approves" : "rejects"} as {decision.as.join(", ")}{" "}
          <Ago at={decision.at} />
          {decision.comment && `: ${decision.comment}`}
        </li>
      ))}
    </ul>
  );
}
