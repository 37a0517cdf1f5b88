import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import type { AssessmentView } from "../../../api/types.gen";
import { value } from "../../../format/value";
import { Ago } from "../../../ui/Ago";
import { explain } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { Failure } from "../../../ui/Failure";
import { AssessmentForm } from "./AssessmentForm";
import { addAssessment, changeAssessment, type Opinion, removeAssessment } from "./queries";

interface AssessmentsProps {
  trace: string;
  assessments: AssessmentView[];
  /** The chosen span, that a new one may be about. */
  span?: string;
  onSpan: (span: string) => void;
}

const SOURCES: Record<string, string> = { HUMAN: "person", LLM_JUDGE: "model", AI_JUDGE: "model", CODE: "code" };

/** What people, models and programs think of a trace; a person's can be added and changed. */
export function Assessments({ trace, assessments, span, onSpan }: AssessmentsProps) {
  const client = useQueryClient();
  // `new`, or the id of the one that is being changed.
  const [open, setOpen] = useState<string | null>(null);
  const change = useMutation({
    mutationFn: (run: () => Promise<unknown>) => run(),
    onSuccess: () => {
      setOpen(null);
      return client.invalidateQueries({ queryKey: ["traces"] });
    },
  });
  const { mutate } = change;
  return (
    <Card
      title="Assessments"
      actions={
        open === null && (
          <button type="button" className="button" onClick={() => setOpen("new")}>
            Add
          </button>
        )
      }
    >
      <div className="stack">
        {change.error && <Failure problem={explain(change.error)} />}
        {open === "new" && (
          <AssessmentForm
            span={span}
            busy={change.isPending}
            onCancel={() => setOpen(null)}
            onDone={(opinion: Opinion) => mutate(() => addAssessment(trace, opinion))}
          />
        )}
        {assessments.length === 0 && open === null && <p className="muted">Nobody has assessed this trace yet.</p>}
        {assessments.map((one) =>
          open === one.id ? (
            <AssessmentForm
              key={one.id}
              given={one}
              busy={change.isPending}
              onCancel={() => setOpen(null)}
              onDone={({ value: said, rationale }) => mutate(() => changeAssessment(trace, one, said, rationale))}
            />
          ) : (
            <div key={one.id} className="row spread" style={{ opacity: one.valid ? 1 : 0.6 }}>
              <div style={{ minWidth: 0 }}>
                <strong>{one.name}</strong>{" "}
                {one.error ? (
                  <span className="wrong">{one.error}</span>
                ) : (
                  <span className="mono">{value(one.value)}</span>
                )}{" "}
                <span className="muted small">
                  {one.kind}, {SOURCES[one.source] ?? one.source.toLowerCase()} {one.source_id}
                  {one.updated_at && (
                    <>
                      , <Ago at={one.updated_at} />
                    </>
                  )}
                  {!one.valid && ", overridden"}
                </span>
                {one.rationale && <div className="small">{one.rationale}</div>}
              </div>
              <span className="row">
                {one.span_id && (
                  <button type="button" className="button quiet" onClick={() => onSpan(one.span_id ?? "")}>
                    its span
                  </button>
                )}
                {one.kind !== "issue" && (
                  <button type="button" className="button quiet" onClick={() => setOpen(one.id)}>
                    Edit
                  </button>
                )}
                <button
                  type="button"
                  className="button quiet"
                  aria-label={`Delete ${one.name}`}
                  onClick={() => mutate(() => removeAssessment(trace, one.id))}
                >
                  Delete
                </button>
              </span>
            </div>
          ),
        )}
      </div>
    </Card>
  );
}
