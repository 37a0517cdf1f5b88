import { type FormEvent, useId, useState } from "react";
import type { NewWebhook } from "./queries";

interface WebhookFormProps {
  events: readonly string[];
  busy: boolean;
  onCancel: () => void;
  onDone: (webhook: NewWebhook) => void;
}

/** Who is to be told of what. */
export function WebhookForm({ events, busy, onCancel, onDone }: WebhookFormProps) {
  const id = useId();
  const [given, setGiven] = useState<NewWebhook>({ name: "", url: "", description: "", secret: "", events: [] });
  const set = (change: Partial<NewWebhook>) => setGiven((before) => ({ ...before, ...change }));
  const toggle = (event: string) =>
    set({
      events: given.events.includes(event) ? given.events.filter((one) => one !== event) : [...given.events, event],
    });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onDone(given);
  };
  const field = (
    name: "name" | "url" | "description" | "secret",
    label: string,
    more: React.InputHTMLAttributes<HTMLInputElement>,
  ) => (
    <div className="field">
      <label htmlFor={`${id}-${name}`}>{label}</label>
      <input
        id={`${id}-${name}`}
        className="input"
        value={given[name]}
        onChange={(event) => set({ [name]: event.target.value })}
        {...more}
      />
    </div>
  );
  return (
    <form className="stack" onSubmit={submit} aria-label="new webhook">
      <div className="fields">
        {field("name", "Name", { required: true, placeholder: "deployments" })}
        {field("url", "Address", { required: true, type: "url", placeholder: "https://hooks.example.com/models" })}
        {field("secret", "Secret that notes are signed with", { type: "password", autoComplete: "new-password" })}
        {field("description", "Description", {})}
      </div>
      <fieldset style={{ border: 0, padding: 0, margin: 0 }}>
        <legend className="small" style={{ padding: 0, fontWeight: 500 }}>
          Told of
        </legend>
        <div className="fields" style={{ gap: 4 }}>
          {events.map((event) => (
            <label key={event} className="row small" style={{ flexWrap: "nowrap" }}>
              <input type="checkbox" checked={given.events.includes(event)} onChange={() => toggle(event)} />
              <span className="clip" title={event}>
                {event}
              </span>
            </label>
          ))}
        </div>
      </fieldset>
      <div className="row">
        <button type="submit" className="button primary" disabled={busy || given.events.length === 0}>
          {busy ? "Saving…" : "Create"}
        </button>
        <button type="button" className="button" onClick={onCancel}>
          Cancel
        </button>
        {given.events.length === 0 && <span className="muted small">Tick what it is to be told of.</span>}
      </div>
    </form>
  );
}
