import { queryOptions } from "@tanstack/react-query";
import { address, get, post, put, remove } from "../../api/client";
import type { ConnectionsView, SaveConnection, TriedConnection, TryConnection } from "../../api/types.gen";

const path = encodeURIComponent;

export const connectionsQuery = () =>
  queryOptions({
    queryKey: ["connections"],
    queryFn: ({ signal }) => get<ConnectionsView>("/api/connections", {}, signal),
  });

export const saveConnection = (name: string, wanted: SaveConnection) =>
  put<ConnectionsView>(`/api/connections/${path(name)}`, wanted);

export const removeConnection = (name: string, etag: string | null) =>
  remove<ConnectionsView>(address(`/api/connections/${path(name)}`, { etag }));

export const tryConnection = (wanted: TryConnection) => post<TriedConnection>("/api/connection-tests", wanted);
