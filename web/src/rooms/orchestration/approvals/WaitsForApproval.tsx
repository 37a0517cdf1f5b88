import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { approvalsQuery } from "../queries";

/** The way from a step that waits for people to where they decide. */
export function WaitsForApproval({ run, step }: { run: string; step: string }) {
  const page = useQuery(approvalsQuery({ run, limit: 200 })).data;
  const found = page?.approvals.find((approval) => approval.step === step);
  if (!found) return null;
  return (
    <Link
      to="/approvals/$approval"
      params={{ approval: found.id }}
      className={found.state === "waiting" ? "button primary" : "button"}
    >
      {found.state === "waiting" ? `Decide: ${found.given} of ${found.needed}` : "Approval"}
    </Link>
  );
}
