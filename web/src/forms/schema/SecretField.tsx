import { useState } from "react";

interface SecretFieldProps {
  id?: string;
  describedBy?: string;
  /** What it is called where no label stands beside it. */
  label?: string;
  name: string;
  /** What stands in the file: an expression that names a secret, or a mark in place of a text nobody may see. */
  value: unknown;
  onChange: (value: unknown) => void;
}

/** Stands where a secret is written out in a file. It never left the server. */
export const HIDDEN = "••••••";

/** A secret: named by an expression, or typed anew; what is kept is never shown. */
export function SecretField({ id, describedBy, label, name, value, onChange }: SecretFieldProps) {
  const text = typeof value === "string" ? value : "";
  const named = text.startsWith("${{") || text === HIDDEN;
  const [typing, setTyping] = useState(false);
  if (named && !typing)
    return (
      <span className="form-line">
        <code id={id} tabIndex={-1} className="input clip" style={{ lineHeight: "28px", flex: 1 }}>
          {text}
        </code>
        <button
          type="button"
          className="button small"
          onClick={() => {
            setTyping(true);
            onChange("");
          }}
        >
          Change<span className="visually-hidden"> {name}</span>
        </button>
      </span>
    );
  return (
    <input
      id={id}
      aria-label={label}
      aria-describedby={describedBy}
      className="input"
      type="password"
      autoComplete="new-password"
      value={text}
      onChange={(event) => onChange(event.target.value)}
    />
  );
}
