import { queryOptions } from "@tanstack/react-query";
import { get, post, remove, send } from "../../api/client";

// These calls are MLflow's, which the server's own document does not describe.
const USERS = "/api/2.0/mlflow/users";

export interface User {
  id: number;
  username: string;
  is_admin: boolean;
  /** Only in the list of all users. */
  roles?: { id: number; name: string }[];
}

export interface Token {
  id: string;
  name: string;
  /** Milliseconds since 1970. */
  creation_time: number;
}

const KEY = ["accounts"];
export const accountsKey = KEY;

/** Who calls; refused by a server that asks nobody who they are. */
export const currentUserQuery = () =>
  queryOptions({
    queryKey: [...KEY, "current"],
    queryFn: async ({ signal }) => (await get<{ user: User }>(`${USERS}/current`, {}, signal)).user,
  });

export const usersQuery = () =>
  queryOptions({
    queryKey: [...KEY, "users"],
    queryFn: async ({ signal }) => (await get<{ users: User[] }>(`${USERS}/list`, {}, signal)).users,
  });

export const tokensQuery = () =>
  queryOptions({
    queryKey: [...KEY, "tokens"],
    queryFn: async ({ signal }) => (await get<{ tokens: Token[] }>(`${USERS}/tokens`, {}, signal)).tokens,
  });

export const createUser = (username: string, password: string) =>
  post<{ user: User }>(`${USERS}/create`, { username, password });

/** Who changes their own password says the one so far. */
export const setPassword = (username: string, password: string, current_password?: string) =>
  send<unknown>("PATCH", `${USERS}/update-password`, { username, password, current_password });

export const setAdmin = (username: string, is_admin: boolean) =>
  send<unknown>("PATCH", `${USERS}/update-admin`, { username, is_admin });

export const deleteUser = (username: string) => send<unknown>("DELETE", `${USERS}/delete`, { username });

/** Makes a token; the answer is the only time that anybody sees it. */
export const createToken = (name: string) => post<Token & { token: string }>(`${USERS}/tokens`, { name });

export const deleteToken = (id: string) => remove<unknown>(`${USERS}/tokens/${encodeURIComponent(id)}`);
