import { Link } from "@tanstack/react-router";
import type { ApprovalView } from "../../../api/types.gen";
import { short } from "../../../format/id";
import { Ago } from "../../../ui/Ago";
import { DataTable } from "../../../ui/DataTable";
import { Message } from "../../../ui/Message";
import { Status } from "../../../ui/Status";

/** Approvals, newest first. */
export function ApprovalTable({ approvals }: { approvals: ApprovalView[] }) {
  return (
    <DataTable
      label="approvals"
      rows={approvals}
      rowKey={(approval) => approval.id}
      columns={[
        {
          key: "state",
          header: "State",
          value: (approval) => approval.state,
          cell: (approval) => <Status status={approval.state} />,
        },
        {
          key: "what",
          header: "What",
          value: (approval) => approval.subject.label,
          cell: (approval) => (
            <Link to="/approvals/$approval" params={{ approval: approval.id }}>
              {approval.subject.label}
            </Link>
          ),
        },
        {
          key: "run",
          header: "Step",
          value: (approval) => `${approval.pipeline}/${approval.step} ${approval.run}`,
          cell: (approval) => (
            <Link to="/runs/$run" params={{ run: approval.run }} search={{ step: approval.step }}>
              {approval.pipeline}/{approval.step} <span className="mono muted">{short(approval.run)}</span>
            </Link>
          ),
        },
        { key: "environment", header: "Environment", value: (approval) => approval.environment },
        {
          key: "asked",
          header: "Asked",
          value: (approval) => approval.approvers.map((approver) => approver.name).join(", "),
        },
        {
          key: "given",
          header: "Approvals",
          numeric: true,
          value: (approval) => `${approval.given} of ${approval.needed}`,
        },
        {
          key: "at",
          header: "Since",
          value: (approval) => approval.asked_at,
          cell: (approval) => <Ago at={approval.asked_at} />,
        },
        {
          key: "deadline",
          header: "Until",
          value: (approval) => approval.deadline,
          cell: (approval) =>
            approval.deadline && approval.state === "waiting" ? <Ago at={approval.deadline} /> : null,
        },
        {
          key: "why",
          header: "Message",
          value: (approval) => approval.reason ?? approval.message,
          cell: (approval) => <Message text={approval.reason ?? approval.message} />,
        },
      ]}
    />
  );
}
