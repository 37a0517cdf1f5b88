import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import type { InboxEventView } from "../../../api/types.gen";
import { plural } from "../../../format/number";
import { Confirm } from "../../../ui/Confirm";
import { replayEvent } from "./queries";

/** Looks again at all the dead letters of a page, one after the other, after a question. */
export function ReplayAll({ events }: { events: InboxEventView[] }) {
  const client = useQueryClient();
  const [asking, setAsking] = useState(false);
  const replay = useMutation({
    mutationFn: async () => {
      for (const { id } of events) await replayEvent(id);
    },
    onSuccess: () => setAsking(false),
    onSettled: () => client.invalidateQueries({ queryKey: ["inbox"] }),
  });
  if (events.length < 2) return null;
  return (
    <>
      <button type="button" className="button" onClick={() => setAsking(true)}>
        Replay these {events.length}
      </button>
      {asking && (
        <Confirm
          title={`Replay ${plural(events.length, "dead letter")}?`}
          action="Replay them"
          busy={replay.isPending}
          error={replay.error}
          onConfirm={() => replay.mutate()}
          onClose={() => setAsking(false)}
        >
          <p>Each is looked at again with its pipeline&apos;s file as it is now, and may start a run.</p>
        </Confirm>
      )}
    </>
  );
}
