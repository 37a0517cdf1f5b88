import { useMutation, useQueryClient } from "@tanstack/react-query";
import type { TriggerStatusView } from "../../../api/types.gen";
import { problemOf } from "../../../api/client";
import { pauseTrigger } from "../queries";

/** Pauses a trigger, or lets it go on; nothing is owed for the pause. */
export function PauseButton({ trigger }: { trigger: TriggerStatusView }) {
  const client = useQueryClient();
  const toggle = useMutation({
    mutationFn: () => pauseTrigger(trigger.pipeline, trigger.trigger, !trigger.paused),
    onSuccess: () => client.invalidateQueries({ queryKey: ["triggers"] }),
  });
  const word = trigger.paused ? "Resume" : "Pause";
  return (
    <>
      <button
        type="button"
        className="button"
        disabled={toggle.isPending}
        aria-label={`${word} ${trigger.pipeline}/${trigger.trigger}`}
        onClick={() => toggle.mutate()}
      >
        {word}
      </button>
      {toggle.error && <span className="tone-bad small">{problemOf(toggle.error).message}</span>}
    </>
  );
}
