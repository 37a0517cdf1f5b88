import { type FormEvent, type ReactNode, useState } from "react";
import { Field } from "./Field";
import { type FieldSpec, type FieldValue, initial, parseForm } from "./parse";

interface ValuesFormProps {
  fields: FieldSpec[];
  submit: string;
  busy: boolean;
  /** Whether it may not be sent at all. */
  disabled?: boolean;
  label: string;
  onSubmit: (values: Record<string, unknown>) => void;
  /** Told on each change, for the command line beside the form. */
  onValues?: (values: Record<string, unknown>) => void;
  children?: ReactNode;
}

/** A form for named, typed values. */
export function ValuesForm(props: ValuesFormProps) {
  const { fields, submit, busy, disabled = false, label, onSubmit, onValues, children } = props;
  const [raw, setRaw] = useState<Record<string, FieldValue>>(() =>
    Object.fromEntries(fields.map((field) => [field.name, initial(field.default)])),
  );
  const [errors, setErrors] = useState<Record<string, string>>({});
  const change = (name: string, value: FieldValue) => {
    const next = { ...raw, [name]: value };
    setRaw(next);
    const reading = parseForm(fields, next);
    if (errors[name] && !reading.errors[name]) setErrors(reading.errors);
    onValues?.(reading.values);
  };
  const send = (event: FormEvent) => {
    event.preventDefault();
    const reading = parseForm(fields, raw);
    setErrors(reading.errors);
    if (Object.keys(reading.errors).length === 0) onSubmit(reading.values);
  };
  return (
    <form className="stack" onSubmit={send} aria-label={label} noValidate>
      <div className="fields">
        {fields.map((field) => (
          <Field
            key={field.name}
            field={field}
            value={raw[field.name] ?? ""}
            error={errors[field.name]}
            onChange={(value) => change(field.name, value)}
          />
        ))}
      </div>
      <div className="row">
        <button type="submit" className="button primary" disabled={busy || disabled}>
          {busy ? "Working…" : submit}
        </button>
        {children}
      </div>
    </form>
  );
}
