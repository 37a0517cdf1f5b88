import { type FormEvent, useId } from "react";

interface ParamFieldsProps {
  values: readonly string[];
  onChange: (values: string[]) => void;
  onSubmit: () => void;
}

/** The values that a query binds: they never become part of its text. */
export function ParamFields({ values, onChange, onSubmit }: ParamFieldsProps) {
  const id = useId();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onSubmit();
  };
  return (
    <form className="stack" style={{ gap: 4 }} onSubmit={submit} aria-label="bound values">
      <div className="fields">
        {values.map((value, at) => (
          // oxlint-disable-next-line react/no-array-index-key
          <div className="field" key={at}>
            <label htmlFor={`${id}-${at}`} className="mono">
              ${at + 1}
            </label>
            <input
              id={`${id}-${at}`}
              className="input mono"
              value={value}
              onChange={(event) => onChange(values.map((old, index) => (index === at ? event.target.value : old)))}
            />
          </div>
        ))}
      </div>
      <p className="muted small">
        Numbers, true, false and null are taken as such; a number in double quotes is text.
        <button type="submit" className="visually-hidden">
          Run
        </button>
      </p>
    </form>
  );
}
