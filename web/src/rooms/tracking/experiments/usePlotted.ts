import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import type { TrackedRun } from "../../../api/types.gen";
import { count } from "../../../format/number";
import { type RunsAsked, runSampleQuery } from "../queries";

/** Runs of one plot; a picture of more says no more. */
const MOST = 500;

/** The first runs of the table with the values of some fields, and the selected ones. */
export function usePlotted(asked: Omit<RunsAsked, "columns">, fields: string[], selected: readonly TrackedRun[]) {
  const query = useQuery(runSampleQuery({ ...asked, columns: [...new Set(fields)] }, MOST));
  const { data } = query;
  const runs = useMemo(() => {
    const known = new Set(data?.runs.map((run) => run.id));
    return [...(data?.runs ?? []), ...selected.filter((run) => !known.has(run.id))];
  }, [data, selected]);
  const total = data?.total ?? 0;
  const shown = Math.min(total, MOST);
  const note =
    shown < total
      ? `the first ${count(shown)} of ${count(total)} runs, in the table's order`
      : `all ${count(total)} runs of the table`;
  return { query, runs, note };
}
