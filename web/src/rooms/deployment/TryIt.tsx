import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import type { EndpointView } from "../../api/types.gen";
import { ValuesForm } from "../../forms/ValuesForm";
import { duration } from "../../format/duration";
import { explain } from "../../ui/Answer";
import { Empty } from "../../ui/Empty";
import { Failure } from "../../ui/Failure";
import { addressHere } from "./calls";
import { Prediction } from "./Prediction";
import { score } from "./queries";

/** A form made from the signature, filled with the example row, and the model's answer. */
export function TryIt({ view }: { view: EndpointView }) {
  const [took, setTook] = useState<number | null>(null);
  const ask = useMutation({
    mutationFn: async (row: Record<string, unknown>) => {
      const start = performance.now();
      const answer = await score(view.endpoint.url, [row]);
      setTook(performance.now() - start);
      return answer;
    },
  });
  const inputs = view.signature?.inputs ?? [];
  if (inputs.length === 0) {
    return (
      <Empty
        what="The model has no signature, so there is no form for it. Send rows by hand:"
        command={`curl -s ${addressHere(view.endpoint.url)} -d @rows.json`}
      />
    );
  }
  const fields = inputs.map((column) => ({ ...column, default: view.example?.[column.name] }));
  return (
    <div className="stack">
      <ValuesForm
        fields={fields}
        submit="Score"
        busy={ask.isPending}
        label={`row for ${view.endpoint.name}`}
        onSubmit={(row) => ask.mutate(row)}
      />
      <div aria-live="polite">
        {ask.data !== undefined && <Prediction answer={ask.data} />}
        {took !== null && ask.isSuccess && (
          <p className="muted small">answered in {duration(took)}, as the browser sees it</p>
        )}
        {ask.error && <Failure problem={explain(ask.error)} />}
      </div>
    </div>
  );
}
