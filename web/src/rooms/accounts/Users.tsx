import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Answer, explain } from "../../ui/Answer";
import { Card } from "../../ui/Card";
import { Confirm } from "../../ui/Confirm";
import { DataTable } from "../../ui/DataTable";
import { Failure } from "../../ui/Failure";
import { NewUser } from "./NewUser";
import { PasswordForm } from "./PasswordForm";
import { accountsKey, deleteUser, setAdmin, type User, usersQuery } from "./queries";

/** Everybody who has an account: made by who gives accounts, made administrators, given a new password and deleted by administrators. */
export function Users({ me, isAdmin }: { me: string; isAdmin: boolean }) {
  const client = useQueryClient();
  const users = useQuery(usersQuery());
  const [doing, setDoing] = useState<{ what: "password" | "delete"; user: string } | null>(null);
  const renew = () => client.invalidateQueries({ queryKey: accountsKey });
  const admin = useMutation({
    mutationFn: ({ username, is_admin }: User) => setAdmin(username, !is_admin),
    onSuccess: renew,
  });
  const drop = useMutation({
    mutationFn: deleteUser,
    onSuccess: () => {
      setDoing(null);
      return renew();
    },
  });
  return (
    <Card title="Users">
      <div className="stack">
        <NewUser onDone={renew} />
        {admin.error && <Failure problem={explain(admin.error)} />}
        <Answer query={users} rows={3}>
          {(found) =>
            found.length === 0 ? (
              <p className="muted small">Nobody has an account yet.</p>
            ) : (
              <DataTable
                label="users"
                rows={found}
                rowKey={(user) => user.username}
                selected={doing?.user}
                stacked
                columns={[
                  { key: "name", header: "Name", value: (user) => user.username },
                  {
                    key: "admin",
                    header: "Administrator",
                    value: (user) => user.is_admin,
                    cell: (user) => (
                      <input
                        type="checkbox"
                        aria-label={`${user.username} is an administrator`}
                        checked={user.is_admin}
                        disabled={!isAdmin || admin.isPending || user.username === me}
                        onChange={() => admin.mutate(user)}
                      />
                    ),
                  },
                  {
                    key: "roles",
                    header: "Roles",
                    value: (user) => (user.roles ?? []).map(({ name }) => name).join(", "),
                  },
                  {
                    key: "do",
                    header: <span className="visually-hidden">Do</span>,
                    value: () => "",
                    cell: (user) =>
                      isAdmin &&
                      user.username !== me && (
                        <span className="row">
                          <button
                            type="button"
                            className="button"
                            onClick={() => setDoing({ what: "password", user: user.username })}
                          >
                            New password
                          </button>
                          <button
                            type="button"
                            className="button danger"
                            onClick={() => setDoing({ what: "delete", user: user.username })}
                          >
                            Delete
                          </button>
                        </span>
                      ),
                  },
                ]}
              />
            )
          }
        </Answer>
        {doing?.what === "password" && (
          <section className="stack" aria-label={`new password of ${doing.user}`}>
            <h3>New password of {doing.user}</h3>
            <PasswordForm key={doing.user} user={doing.user} />
          </section>
        )}
        {doing?.what === "delete" && (
          <Confirm
            title={`Delete the account of ${doing.user}?`}
            action="Delete it"
            busy={drop.isPending}
            error={drop.error}
            onConfirm={() => drop.mutate(doing.user)}
            onClose={() => setDoing(null)}
          >
            <p>{doing.user} cannot log in any more, and the tokens of the account end. What it did keeps its name.</p>
          </Confirm>
        )}
      </div>
    </Card>
  );
}
