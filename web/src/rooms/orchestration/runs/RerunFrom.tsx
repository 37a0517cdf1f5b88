import { useNavigate } from "@tanstack/react-router";
import { explain } from "../../../ui/Answer";
import { Failure } from "../../../ui/Failure";
import { useRerun } from "./useRerun";

/** Runs a step of a run that is over again, and what comes after it. */
export function RerunFrom({ run, step }: { run: string; step: string }) {
  const navigate = useNavigate();
  const again = useRerun(run, (id) => void navigate({ to: "/runs/$run", params: { run: id }, search: { step } }));
  return (
    <>
      <button
        type="button"
        className="button"
        disabled={again.isPending}
        title="this step and what comes after it; what came before is taken over"
        onClick={() => again.mutate({ from: step })}
      >
        Rerun from here
      </button>
      {again.error && <Failure problem={explain(again.error)} />}
    </>
  );
}
