import { useMutation, useQueryClient } from "@tanstack/react-query";
import { count } from "../../../format/number";
import { explain } from "../../../ui/Answer";
import { deleteRuns, renewAll } from "./queries";

/** Deletes the selected runs, which can be restored. */
export function DeleteSelected({ ids, onDone }: { ids: string[]; onDone: () => void }) {
  const client = useQueryClient();
  const remove = useMutation({
    mutationFn: () => deleteRuns(ids),
    onSuccess: async () => {
      onDone();
      await renewAll(client);
    },
  });
  return (
    <button
      type="button"
      className="button quiet"
      disabled={remove.isPending}
      title={
        remove.error ? explain(remove.error).message : "They can be restored below until they are deleted for good"
      }
      onClick={() => remove.mutate()}
    >
      {remove.error ? "They could not be deleted. Try again" : `Delete ${count(ids.length)} selected`}
    </button>
  );
}
