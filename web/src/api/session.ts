import { queryOptions } from "@tanstack/react-query";
import { get, post } from "./client";
import type { SessionView } from "./types.gen";

/** Who one is here, and whether one had to say so. */
export const sessionQuery = () =>
  queryOptions({
    queryKey: ["session"],
    queryFn: ({ signal }) => get<SessionView>("/api/session", {}, signal),
    staleTime: Infinity,
  });

export const signIn = (name: string, password: string) => post<SessionView>("/api/login", { name, password });

export const signOut = () => post<null>("/api/logout", {});
