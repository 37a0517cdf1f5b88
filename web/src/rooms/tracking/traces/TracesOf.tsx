import { useState } from "react";
import type { TracesSearch } from "../search";
import { TraceList } from "./TraceList";

/** The traces of a run, on its page. */
export function TracesOf({ experiment, filter }: { experiment: string; filter: string }) {
  const [search, setSearch] = useState<TracesSearch>({});
  return (
    <TraceList
      search={{ ...search, experiment }}
      always={filter}
      onChange={(change) => setSearch((before) => ({ ...before, ...change }))}
    />
  );
}
