import { type FormEvent, useId, useState } from "react";
import type { AssessmentView, Json } from "../../../api/types.gen";
import type { Opinion } from "./queries";

interface AssessmentFormProps {
  /** The one that is changed; a new one without. */
  given?: AssessmentView;
  span?: string;
  busy: boolean;
  onCancel: () => void;
  onDone: (opinion: Opinion) => void;
}

/** Numbers, yes and no, lists and objects as such; anything else is a text. */
export function readValue(text: string): Json {
  const trimmed = text.trim();
  if (/^(yes|true)$/i.test(trimmed)) return true;
  if (/^(no|false)$/i.test(trimmed)) return false;
  try {
    return JSON.parse(trimmed) as Json;
  } catch {
    return trimmed;
  }
}

export function AssessmentForm({ given, span, busy, onCancel, onDone }: AssessmentFormProps) {
  const id = useId();
  const [kind, setKind] = useState<Opinion["kind"]>(given?.kind === "expectation" ? "expectation" : "feedback");
  const [name, setName] = useState(given?.name ?? "correct");
  const [text, setText] = useState(
    given ? (typeof given.value === "string" ? given.value : JSON.stringify(given.value)) : "true",
  );
  const [rationale, setRationale] = useState(given?.rationale ?? "");
  const [ofSpan, setOfSpan] = useState(false);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onDone({
      kind,
      name: name.trim(),
      value: readValue(text),
      rationale: rationale.trim(),
      span: ofSpan ? span : undefined,
    });
  };
  return (
    <form className="stack" onSubmit={submit} aria-label={given ? `change ${given.name}` : "new assessment"}>
      <div className="fields">
        {!given && (
          <div className="field">
            <label htmlFor={`${id}-kind`}>Kind</label>
            <select
              id={`${id}-kind`}
              className="input"
              value={kind}
              onChange={(event) => setKind(event.target.value === "expectation" ? "expectation" : "feedback")}
            >
              <option value="feedback">feedback: how it was</option>
              <option value="expectation">expectation: how it should be</option>
            </select>
          </div>
        )}
        {!given && (
          <div className="field">
            <label htmlFor={`${id}-name`}>Name</label>
            <input
              id={`${id}-name`}
              className="input"
              required
              value={name}
              onChange={(event) => setName(event.target.value)}
            />
          </div>
        )}
        <div className="field">
          <label htmlFor={`${id}-value`}>Value</label>
          <input
            id={`${id}-value`}
            className="input mono"
            required
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
          <span className="help">true, 0.8, a text or JSON</span>
        </div>
        <div className="field">
          <label htmlFor={`${id}-why`}>Why</label>
          <input
            id={`${id}-why`}
            className="input"
            value={rationale}
            onChange={(event) => setRationale(event.target.value)}
          />
        </div>
      </div>
      {!given && span && (
        <label className="row small">
          <input type="checkbox" checked={ofSpan} onChange={(event) => setOfSpan(event.target.checked)} /> only of the
          chosen span
        </label>
      )}
      <div className="row">
        <button type="submit" className="button primary" disabled={busy}>
          {busy ? "Saving…" : "Save"}
        </button>
        <button type="button" className="button" onClick={onCancel}>
          Cancel
        </button>
      </div>
    </form>
  );
}
