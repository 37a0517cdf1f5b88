import { type FormEvent, useId, useState } from "react";
import { explain } from "../../../ui/Answer";
import { Message } from "../../../ui/Message";

interface FilterFieldProps {
  filter: string;
  example: string;
  /** Why the server did not take the filter, or the sort. */
  error: unknown;
  /** The rows below are not those of this filter. */
  old: boolean;
  onFilter: (filter: string) => void;
  /** What is filtered, in the plural. */
  what?: string;
}

/** The condition that runs must meet, in the server's language; applied with Enter, kept as typed if it is wrong. */
export function FilterField({ filter, example, error, old, onFilter, what = "runs" }: FilterFieldProps) {
  const id = useId();
  const [text, setText] = useState(filter);
  const [applied, setApplied] = useState(filter);
  if (filter !== applied) {
    setApplied(filter);
    setText(filter);
  }
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onFilter(text.trim());
  };
  const clear = () => {
    setText("");
    onFilter("");
  };
  return (
    <form onSubmit={submit} className="filter" role="search" aria-label={what}>
      <div className="row" style={{ flexWrap: "nowrap" }}>
        <label htmlFor={id} className="visually-hidden">
          Filter
        </label>
        <input
          id={id}
          className="input mono"
          style={{ flex: 1 }}
          value={text}
          placeholder={example}
          spellCheck={false}
          autoCapitalize="off"
          autoComplete="off"
          aria-invalid={error ? true : undefined}
          aria-describedby={error ? `${id}-error` : undefined}
          onChange={(event) => setText(event.target.value)}
        />
        <button type="submit" className="button">
          Filter
        </button>
        {(text || filter) && (
          <button type="button" className="button quiet" onClick={clear}>
            Clear
          </button>
        )}
      </div>
      {Boolean(error) && (
        <p id={`${id}-error`} role="alert" className="wrong small">
          <Message text={explain(error).message} />
          {old && <span className="muted"> The {what} below are those from before.</span>}
        </p>
      )}
    </form>
  );
}
