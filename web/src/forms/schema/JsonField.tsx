import { useState } from "react";

interface JsonFieldProps {
  value: unknown;
  onChange: (value: unknown) => void;
  id?: string;
  className?: string;
}

/** A value of any shape as JSON; what is none is not handed on. */
export function JsonField({ value, onChange, ...rest }: JsonFieldProps) {
  const [typed, setTyped] = useState<string | null>(null);
  const text = typed ?? (value === undefined ? "" : JSON.stringify(value, null, 1));
  const wrong = typed !== null && parse(typed) === undefined && typed.trim() !== "";
  return (
    <>
      <textarea
        {...rest}
        className="input mono"
        rows={Math.min(10, Math.max(2, text.split("\n").length))}
        aria-invalid={wrong || undefined}
        value={text}
        onChange={(event) => {
          setTyped(event.target.value);
          const read = parse(event.target.value);
          if (read !== undefined) onChange(read);
        }}
        onBlur={() => !wrong && setTyped(null)}
      />
      {wrong && <span className="help wrong">This is not JSON.</span>}
    </>
  );
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
