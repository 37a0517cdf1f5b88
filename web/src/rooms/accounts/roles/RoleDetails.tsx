import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { explain } from "../../../ui/Answer";
import { Confirm } from "../../../ui/Confirm";
import { Failure } from "../../../ui/Failure";
import { accountsKey } from "../queries";
import { deleteRole, type Role, updateRole } from "./queries";
import { RoleMembers } from "./RoleMembers";
import { RolePermissions } from "./RolePermissions";

interface RoleDetailsProps {
  role: Role;
  users: string[];
  members: string[];
}

/** One role: its name, who has it, what it allows. */
export function RoleDetails({ role, users, members }: RoleDetailsProps) {
  const client = useQueryClient();
  const renew = () => client.invalidateQueries({ queryKey: accountsKey });
  const [name, setName] = useState(role.name);
  const [description, setDescription] = useState(role.description ?? "");
  const [asking, setAsking] = useState(false);
  const save = useMutation({ mutationFn: () => updateRole(role.id, name.trim(), description), onSuccess: renew });
  const drop = useMutation({ mutationFn: () => deleteRole(role.id), onSuccess: renew });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate();
  };
  const isChanged = name.trim() !== role.name || description !== (role.description ?? "");
  return (
    <section className="stack" aria-label={`role ${role.name}`}>
      <h3>Role {role.name}</h3>
      <form className="row" onSubmit={submit} aria-label={`name of the role ${role.name}`}>
        <label className="row small">
          Called
          <input
            className="input"
            required
            maxLength={255}
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
        </label>
        <label className="row small">
          What it is for
          <input
            className="input"
            maxLength={1024}
            value={description}
            onChange={(event) => setDescription(event.target.value)}
          />
        </label>
        <button type="submit" className="button" disabled={!isChanged || save.isPending}>
          Save
        </button>
        <button type="button" className="button danger" onClick={() => setAsking(true)}>
          Delete the role
        </button>
      </form>
      {save.error && <Failure problem={explain(save.error)} />}
      <RoleMembers role={role} users={users} members={members} />
      <RolePermissions role={role} />
      {asking && (
        <Confirm
          title={`Delete the role ${role.name}?`}
          action="Delete it"
          busy={drop.isPending}
          error={drop.error}
          onConfirm={() => drop.mutate()}
          onClose={() => setAsking(false)}
        >
          <p>
            {members.length === 0
              ? "Nobody has it."
              : `${members.length} ${members.length === 1 ? "user loses" : "users lose"} what it allows.`}{" "}
            What asks <span className="mono">role:{role.name}</span> to approve finds nobody of it any more.
          </p>
        </Confirm>
      )}
    </section>
  );
}
