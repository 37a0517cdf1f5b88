import { queryOptions } from "@tanstack/react-query";
import { get, post, send } from "../../../api/client";
import type { ExperimentSummary, ModelSummary } from "../../../api/types.gen";
import { accountsKey } from "../queries";

// These calls are MLflow's, which the server's own document does not describe.
const ROLES = "/api/3.0/mlflow/roles";
/** MLflow's word for the only workspace of a server. */
const WORKSPACE = "default";

export interface RolePermission {
  id: number;
  resource_type: string;
  /** An id or a name; `*` for all. */
  resource_pattern: string;
  permission: string;
}

export interface Role {
  id: number;
  name: string;
  description: string | null;
  permissions: RolePermission[];
}

export type NewPermission = Omit<RolePermission, "id">;

export const rolesQuery = () =>
  queryOptions({
    queryKey: [...accountsKey, "roles"],
    queryFn: async ({ signal }) => (await get<{ roles: Role[] }>(`${ROLES}/list`, {}, signal)).roles,
  });

export const createRole = (name: string, description: string) =>
  post<{ role: Role }>(`${ROLES}/create`, { name, description, workspace: WORKSPACE });

export const updateRole = (role_id: number, name: string, description: string) =>
  send<unknown>("PATCH", `${ROLES}/update`, { role_id, name, description });

export const deleteRole = (role_id: number) => send<unknown>("DELETE", `${ROLES}/delete`, { role_id });

export const addPermission = (role_id: number, permission: NewPermission) =>
  post<unknown>(`${ROLES}/permissions/add`, { role_id, ...permission });

export const setPermission = (role_permission_id: number, permission: string) =>
  send<unknown>("PATCH", `${ROLES}/permissions/update`, { role_permission_id, permission });

export const removePermission = (role_permission_id: number) =>
  send<unknown>("DELETE", `${ROLES}/permissions/remove`, { role_permission_id });

export const assignRole = (username: string, role_id: number) =>
  post<unknown>(`${ROLES}/assign`, { username, role_id });

export const unassignRole = (username: string, role_id: number) =>
  send<unknown>("DELETE", `${ROLES}/unassign`, { username, role_id });

/** What can be named where something is allowed: the value that is kept, and the name for people. */
export const namesQuery = (kind: string) =>
  queryOptions({
    queryKey: [...accountsKey, "names", kind],
    enabled: kind === "experiment" || kind === "registered_model",
    queryFn: async ({ signal }): Promise<{ value: string; name: string }[]> =>
      kind === "experiment"
        ? (await get<ExperimentSummary[]>("/api/experiments", {}, signal)).map(({ id, name }) => ({ value: id, name }))
        : (await get<ModelSummary[]>("/api/models", {}, signal)).map(({ name }) => ({ value: name, name })),
  });
