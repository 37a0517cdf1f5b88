import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { Answer, explain } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { DataTable } from "../../../ui/DataTable";
import { Failure } from "../../../ui/Failure";
import { accountsKey, usersQuery } from "../queries";
import { createRole, rolesQuery } from "./queries";
import { RoleDetails } from "./RoleDetails";

/** Every role, for those who give them: who has it, and what it allows. */
export function Roles() {
  const client = useQueryClient();
  const roles = useQuery(rolesQuery());
  const users = useQuery(usersQuery()).data ?? [];
  const [shown, setShown] = useState<number | null>(null);
  const members = (role: number) => users.filter((user) => user.roles?.some(({ id }) => id === role));
  const role = roles.data?.find(({ id }) => id === shown);
  return (
    <Card title="Roles">
      <div className="stack">
        <p className="muted small">
          Permissions under a name. Pipelines and environments ask roles to approve, too:{" "}
          <span className="mono">by: [role:NAME]</span>.
        </p>
        <NewRole
          onDone={async (made) => {
            await client.invalidateQueries({ queryKey: accountsKey });
            setShown(made);
          }}
        />
        <Answer query={roles} rows={3}>
          {(found) =>
            found.length === 0 ? (
              <p className="muted small">No role yet.</p>
            ) : (
              <DataTable
                label="roles"
                rows={found}
                rowKey={({ id }) => String(id)}
                selected={role ? String(role.id) : null}
                stacked
                columns={[
                  { key: "name", header: "Name", value: ({ name }) => name },
                  { key: "description", header: "For", value: ({ description }) => description, wrap: true },
                  {
                    key: "users",
                    header: "Users",
                    value: ({ id }) =>
                      members(id)
                        .map(({ username }) => username)
                        .join(", "),
                    wrap: true,
                  },
                  { key: "permissions", header: "Permissions", value: (row) => row.permissions.length, numeric: true },
                  {
                    key: "do",
                    header: <span className="visually-hidden">Do</span>,
                    value: () => "",
                    cell: ({ id, name }) => (
                      <button
                        type="button"
                        className="button"
                        aria-expanded={shown === id}
                        aria-label={`Edit the role ${name}`}
                        onClick={() => setShown(shown === id ? null : id)}
                      >
                        Edit
                      </button>
                    ),
                  },
                ]}
              />
            )
          }
        </Answer>
        {role && (
          <RoleDetails
            key={role.id}
            role={role}
            users={users.map(({ username }) => username)}
            members={members(role.id).map(({ username }) => username)}
          />
        )}
      </div>
    </Card>
  );
}

function NewRole({ onDone }: { onDone: (made: number) => unknown }) {
  const [name, setName] = useState("");
  const make = useMutation({
    mutationFn: () => createRole(name.trim(), ""),
    onSuccess: ({ role }) => {
      setName("");
      return onDone(role.id);
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    make.mutate();
  };
  return (
    <form className="stack" onSubmit={submit} aria-label="new role">
      <div className="row">
        <label className="row small">
          Role
          <input
            className="input"
            required
            maxLength={255}
            autoComplete="off"
            placeholder="ml_owner"
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
        </label>
        <button type="submit" className="button" disabled={make.isPending}>
          Make a role
        </button>
      </div>
      {make.error && <Failure problem={explain(make.error)} />}
    </form>
  );
}
