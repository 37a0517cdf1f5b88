import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { explain } from "../../../ui/Answer";
import { DataTable } from "../../../ui/DataTable";
import { Failure } from "../../../ui/Failure";
import { accountsKey } from "../queries";
import { NewPermissionForm } from "./NewPermissionForm";
import { namesQuery, removePermission, type Role, type RolePermission, setPermission } from "./queries";
import { KINDS, levels, object } from "./words";

/** What a role allows. */
export function RolePermissions({ role }: { role: Role }) {
  const client = useQueryClient();
  const renew = () => client.invalidateQueries({ queryKey: accountsKey });
  const experiments = useQuery(namesQuery("experiment")).data;
  const change = useMutation({
    mutationFn: ({ id, permission }: Pick<RolePermission, "id" | "permission">) => setPermission(id, permission),
    onSuccess: renew,
  });
  const drop = useMutation({ mutationFn: removePermission, onSuccess: renew });
  const named = ({ resource_type, resource_pattern }: RolePermission) =>
    object(resource_type, resource_pattern, resource_type === "experiment" ? experiments : undefined);
  const error = change.error ?? drop.error;
  return (
    <>
      <h4>Permissions</h4>
      {role.permissions.length === 0 ? (
        <p className="muted small">It allows nothing beyond what everybody may.</p>
      ) : (
        <DataTable
          label={`permissions of ${role.name}`}
          rows={role.permissions}
          rowKey={({ id }) => String(id)}
          stacked
          columns={[
            { key: "kind", header: "On", value: (row) => KINDS[row.resource_type] ?? row.resource_type },
            { key: "object", header: "Which", value: named },
            {
              key: "permission",
              header: "May",
              value: ({ permission }) => permission,
              cell: ({ id, permission, ...row }) => (
                <select
                  className="input"
                  aria-label={`what ${role.name} may with ${named({ id, permission, ...row })}`}
                  value={permission}
                  disabled={change.isPending}
                  onChange={(event) => change.mutate({ id, permission: event.target.value })}
                >
                  {Object.entries(levels(row.resource_type)).map(([word, text]) => (
                    <option key={word} value={word}>
                      {text}
                    </option>
                  ))}
                </select>
              ),
            },
            {
              key: "do",
              header: <span className="visually-hidden">Do</span>,
              value: () => "",
              cell: (row) => (
                <button
                  type="button"
                  className="button danger"
                  aria-label={`Remove what ${role.name} may with ${named(row)}`}
                  disabled={drop.isPending}
                  onClick={() => drop.mutate(row.id)}
                >
                  Remove
                </button>
              ),
            },
          ]}
        />
      )}
      <NewPermissionForm role={role} onDone={renew} />
      {error && <Failure problem={explain(error)} />}
    </>
  );
}
