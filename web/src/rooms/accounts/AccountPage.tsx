import { useQuery } from "@tanstack/react-query";
import { ApiError } from "../../api/client";
import { sessionQuery } from "../../api/session";
import { Answer } from "../../ui/Answer";
import { Card } from "../../ui/Card";
import { Command } from "../../ui/Command";
import { PageHead } from "../../ui/PageHead";
import { PasswordForm } from "./PasswordForm";
import { currentUserQuery, type User } from "./queries";
import { Roles } from "./roles/Roles";
import { Tokens } from "./Tokens";
import { Users } from "./Users";

const NOT_FOUND = 404;

/** Who one is, one's password and tokens; for administrators, who else there is. */
export function AccountPage() {
  const current = useQuery(currentUserQuery());
  const nobody = current.error instanceof ApiError && current.error.status === NOT_FOUND;
  return (
    <>
      <PageHead title="Account" about="Who you are here, and what proves it." />
      {nobody ? <NobodyAsked /> : <Answer query={current}>{(user) => <Body user={user} />}</Answer>}
    </>
  );
}

/** The server's own token belongs to no account. */
const isOperator = (user: User) => user.id === 0;

function Body({ user }: { user: User }) {
  const manages = useQuery(sessionQuery()).data?.manages_accounts ?? user.is_admin;
  return (
    <>
      <Card title={user.username}>
        <p>
          {isOperator(user)
            ? "This is whoever has the server's own token, which may do everything. Make accounts for people, so that what they decide has their names."
            : user.is_admin
              ? "An administrator, who may do everything."
              : "What you may do is what the server allows to everybody, and what you were granted."}
        </p>
      </Card>
      {!isOperator(user) && (
        <>
          <Card title="Password">
            <PasswordForm user={user.username} own />
          </Card>
          <Tokens />
        </>
      )}
      {manages && (
        <>
          <Users me={user.username} isAdmin={user.is_admin} />
          <Roles />
        </>
      )}
    </>
  );
}

function NobodyAsked() {
  return (
    <Card>
      <div className="stack">
        <p>This server asks nobody who they are: whoever reaches it may do everything. This one asks:</p>
        <Command line="MILLRACE_TOKEN=$(openssl rand -hex 32) millrace up --login" />
      </div>
    </Card>
  );
}
