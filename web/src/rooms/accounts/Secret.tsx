interface SecretProps {
  label: string;
  value: string;
  onChange: (value: string) => void;
  autoComplete: "current-password" | "new-password";
  /** Characters that it has at least. */
  least?: number;
}

/** A password that is typed. */
export function Secret({ label, value, onChange, autoComplete, least }: SecretProps) {
  return (
    <label className="row small">
      {label}
      <input
        className="input"
        type="password"
        required
        minLength={least}
        title={least ? `at least ${least} characters` : undefined}
        autoComplete={autoComplete}
        value={value}
        onChange={(event) => onChange(event.target.value)}
      />
    </label>
  );
}
