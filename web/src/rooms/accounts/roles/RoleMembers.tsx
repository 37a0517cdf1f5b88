import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { explain } from "../../../ui/Answer";
import { Failure } from "../../../ui/Failure";
import { accountsKey } from "../queries";
import { assignRole, type Role, unassignRole } from "./queries";

interface RoleMembersProps {
  role: Role;
  users: string[];
  members: string[];
}

/** Who has a role. */
export function RoleMembers({ role, users, members }: RoleMembersProps) {
  const client = useQueryClient();
  const renew = () => client.invalidateQueries({ queryKey: accountsKey });
  const others = users.filter((user) => !members.includes(user));
  const [picked, setPicked] = useState("");
  const user = others.includes(picked) ? picked : "";
  const give = useMutation({ mutationFn: () => assignRole(user, role.id), onSuccess: renew });
  const take = useMutation({ mutationFn: (name: string) => unassignRole(name, role.id), onSuccess: renew });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    give.mutate();
  };
  const error = give.error ?? take.error;
  return (
    <>
      <h4>Users</h4>
      {members.length === 0 ? (
        <p className="muted small">Nobody has it.</p>
      ) : (
        <div className="row" role="list" aria-label={`users of ${role.name}`}>
          {members.map((name) => (
            <span key={name} role="listitem" className="tag">
              {name}
              <button
                type="button"
                className="button quiet small"
                aria-label={`Take ${role.name} from ${name}`}
                disabled={take.isPending}
                onClick={() => take.mutate(name)}
              >
                ×
              </button>
            </span>
          ))}
        </div>
      )}
      {others.length > 0 && (
        <form className="row" onSubmit={submit} aria-label={`give ${role.name}`}>
          <label className="row small">
            User
            <select className="input" required value={user} onChange={(event) => setPicked(event.target.value)}>
              <option value="">choose</option>
              {others.map((name) => (
                <option key={name}>{name}</option>
              ))}
            </select>
          </label>
          <button type="submit" className="button" disabled={give.isPending || user === ""}>
            Give the role
          </button>
        </form>
      )}
      {error && <Failure problem={explain(error)} />}
    </>
  );
}
