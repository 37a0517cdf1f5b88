import { useId, useState } from "react";

interface NameFieldProps {
  label: string;
  names: readonly string[];
  value: string;
  /** What an empty field means; without it one must be given. */
  none?: string;
  onChange: (name: string) => void;
}

/** One name out of any number of them: type a part of it, pick it from the browser's list. */
export function NameField({ label, names, value, none, onChange }: NameFieldProps) {
  const id = useId();
  const [text, setText] = useState(value);
  const [given, setGiven] = useState(value);
  if (value !== given) {
    setGiven(value);
    setText(value);
  }
  const change = (next: string) => {
    setText(next);
    if (names.includes(next) || (next === "" && none !== undefined)) onChange(next);
  };
  return (
    <label className="row small" htmlFor={id}>
      {label}
      <input
        id={id}
        className="input"
        style={{ width: 200 }}
        list={`${id}-names`}
        value={text}
        placeholder={none}
        spellCheck={false}
        autoComplete="off"
        onFocus={(event) => event.target.select()}
        onChange={(event) => change(event.target.value)}
        onBlur={() => setText(value)}
      />
      <datalist id={`${id}-names`}>
        {names.map((name) => (
          <option key={name} value={name} aria-label={name} />
        ))}
      </datalist>
    </label>
  );
}
