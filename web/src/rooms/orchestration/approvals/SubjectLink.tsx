import { Link } from "@tanstack/react-router";
import type { ApprovalSubjectView } from "../../../api/types.gen";

/** What is to be approved, where it can be looked at. */
export function SubjectLink({ subject, run }: { subject: ApprovalSubjectView; run: string }) {
  const { kind, label, name } = subject;
  const version = subject.version ?? undefined;
  if (kind === "model" && name) {
    return (
      <Link to="/models/$name" params={{ name }} search={{ version }}>
        {label}
      </Link>
    );
  }
  if (kind === "table" && name) {
    return (
      <Link to="/data/$name" params={{ name }} search={{ version }}>
        {label}
      </Link>
    );
  }
  if (kind === "run") {
    return (
      <Link to="/runs/$run" params={{ run }} search={{ tab: "definition" }}>
        {label}
      </Link>
    );
  }
  return <span className="mono">{label}</span>;
}
