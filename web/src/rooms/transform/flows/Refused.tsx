import { useMutation } from "@tanstack/react-query";
import { ApiError, get } from "../../../api/client";
import type { FlowView } from "../../../api/types.gen";
import { explain } from "../../../ui/Answer";
import { Disclosure } from "../../../ui/Disclosure";
import { Failure } from "../../../ui/Failure";
import { TextDiff } from "../../../ui/TextDiff";
import type { Designer } from "./useDesigner";

interface RefusedProps {
  designer: Designer;
  view: FlowView;
  onReload: () => void;
}

const CONFLICT = 409;

/** A text that was not saved: if the file has another one meanwhile, one of the two has to give way. */
export function Refused({ designer, view, onReload }: RefusedProps) {
  const { error } = designer.save;
  const theirs = useMutation({
    mutationFn: () => get<FlowView>(`/api/flows/${encodeURIComponent(view.name)}`),
  });
  const conflict = error instanceof ApiError && error.status === CONFLICT;
  if (!conflict) return <Failure problem={explain(error)} />;
  return (
    <Failure problem={{ ...explain(error), hints: [] }}>
      <div className="row" style={{ marginTop: 6 }}>
        <button type="button" className="button" onClick={() => theirs.mutate()}>
          Compare
        </button>
        <button type="button" className="button" onClick={onReload}>
          Take the file, drop my changes
        </button>
        {theirs.data && (
          <button type="button" className="button danger" onClick={() => designer.save.mutate(theirs.data.etag)}>
            Keep mine, replace the file
          </button>
        )}
      </div>
      {theirs.error && <Failure problem={explain(theirs.error)} />}
      {theirs.data && (
        <Disclosure summary="The file, and mine" open>
          <TextDiff label="the file and mine" before={theirs.data.yaml} after={designer.yaml} />
        </Disclosure>
      )}
    </Failure>
  );
}
