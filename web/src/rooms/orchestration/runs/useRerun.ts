import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type Again, rerun } from "../queries";

/** Runs something of a run again and tells the id of the new run. */
export function useRerun(run: string, onStarted: (id: string) => void) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (again: Again) => rerun(run, again),
    onSuccess: (started) => {
      void client.invalidateQueries({ queryKey: ["runs"] });
      onStarted(started.id);
    },
  });
}
