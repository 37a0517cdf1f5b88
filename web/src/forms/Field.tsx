import { useId } from "react";
import { type FieldSpec, type FieldValue, inputKind } from "./parse";

interface FieldProps {
  field: FieldSpec;
  value: FieldValue;
  error?: string;
  onChange: (value: FieldValue) => void;
}

/** One labelled input, as its type wants it. */
export function Field({ field, value, error, onChange }: FieldProps) {
  const id = useId();
  const described = `${id}-help`;
  const kind = inputKind(field.type);
  const common = { id, className: "input", "aria-describedby": described, "aria-invalid": error ? true : undefined };
  const text = typeof value === "boolean" ? String(value) : value;
  return (
    <div className="field">
      <label htmlFor={id}>{field.name}</label>
      {field.allowed && field.allowed.length > 0 ? (
        <select {...common} value={text} onChange={(event) => onChange(event.target.value)}>
          {field.allowed.map((choice) => (
            <option key={String(choice)}>{String(choice)}</option>
          ))}
        </select>
      ) : kind === "boolean" ? (
        <select {...common} value={text} onChange={(event) => onChange(event.target.value === "true")}>
          <option>false</option>
          <option>true</option>
        </select>
      ) : (
        <input
          {...common}
          type={kind === "date" ? "date" : "text"}
          inputMode={kind === "integer" ? "numeric" : kind === "number" ? "decimal" : undefined}
          value={text}
          onChange={(event) => onChange(event.target.value)}
        />
      )}
      <span id={described} className="help" style={error ? { color: "var(--bad)" } : undefined}>
        {error ?? [field.type, field.required ? null : "optional", field.description].filter(Boolean).join(" · ")}
      </span>
    </div>
  );
}
