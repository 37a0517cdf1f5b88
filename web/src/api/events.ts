import type { QueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { sessionQuery } from "./session";

export type LiveState = "connecting" | "live" | "lost";

/** Which lists and pages an event makes stale, by the first word of their query keys. */
const STALE: Record<string, string[]> = {
  run: ["runs", "pipelines", "experiments", "tracked-runs", "approvals", "environments", "inbox"],
  step: ["runs", "approvals", "environments"],
  progress: ["runs"],
  pipeline: ["pipelines"],
  dataset: ["datasets", "lineage"],
  model: ["models", "lineage", "prompts", "approvals"],
  tracking: ["experiments", "tracked-runs"],
  trace: ["traces"],
  webhook: ["webhooks"],
  evaluation: ["evaluation-datasets"],
  endpoint: ["endpoints"],
  monitor: ["monitors"],
  alert: ["alerts"],
};

const GATHER_MS = 500;

/** Query keys that an event's kind (`run.started`, `step`) concerns; all of them if the kind is new to this page. */
export function staleKeys(kind: string): string[] {
  const noun = kind.split(/[._-]/)[0] ?? kind;
  return STALE[noun] ?? Object.values(STALE).flat();
}

/** Listens to the server's events and refreshes what they concern, at most once in a while. */
export function useLiveUpdates(client: QueryClient): LiveState {
  const [state, setState] = useState<LiveState>("connecting");
  useEffect(() => {
    const source = new EventSource("/api/events");
    const stale = new Set<string>();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const flush = () => {
      timer = undefined;
      for (const key of stale) void client.invalidateQueries({ queryKey: [key] });
      stale.clear();
    };
    const onEvent = (event: MessageEvent<string>) => {
      for (const key of staleKeys(kindOf(event))) stale.add(key);
      timer ??= setTimeout(flush, GATHER_MS);
    };
    let lostBefore = false;
    source.addEventListener("open", () => {
      setState("live");
      if (lostBefore) void client.invalidateQueries();
      lostBefore = false;
    });
    source.addEventListener("error", () => {
      lostBefore = true;
      setState("lost");
      // Refused for good, perhaps since the session is over: an ordinary request says so, and leads to the sign-in page.
      if (source.readyState === EventSource.CLOSED)
        void client.fetchQuery({ ...sessionQuery(), staleTime: 0 }).catch(() => {});
    });
    source.addEventListener("message", onEvent);
    source.addEventListener("lagged", () => void client.invalidateQueries());
    for (const noun of Object.keys(STALE)) source.addEventListener(noun, onEvent);
    return () => {
      clearTimeout(timer);
      source.close();
    };
  }, [client]);
  return state;
}

function kindOf(event: MessageEvent<string>): string {
  if (event.type !== "message") return event.type;
  try {
    const said = JSON.parse(event.data) as { kind?: unknown; type?: unknown };
    return String(said.kind ?? said.type ?? "");
  } catch {
    return "";
  }
}
