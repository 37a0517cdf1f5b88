interface ChoiceProps {
  options: readonly { value: unknown; about?: string }[];
  value: unknown;
  onChange: (value: unknown) => void;
  id?: string;
  className?: string;
}

/** One of a few words. */
export function Choice({ options, value, onChange, ...rest }: ChoiceProps) {
  const at = options.findIndex((option) => option.value === value);
  return (
    <select {...rest} value={at} onChange={(event) => onChange(options[Number(event.target.value)]?.value)}>
      {at < 0 && <option value={-1}>{value === undefined ? "" : JSON.stringify(value)}</option>}
      {options.map((option, index) => (
        <option key={String(option.value)} value={index} title={option.about}>
          {String(option.value)}
        </option>
      ))}
    </select>
  );
}
