import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { explain } from "../../ui/Answer";
import { Failure } from "../../ui/Failure";

interface TagEditorProps {
  /** What they are tags of, for screen readers. */
  label: string;
  tags: { [key: string]: string };
  set: (key: string, value: string) => Promise<unknown>;
  remove: (key: string) => Promise<unknown>;
  /** What the tags are read with. */
  queryKey: readonly string[];
}

/** Tags, to be set, changed and taken away; a key that is there gets the new value. */
export function TagEditor({ label, tags, set, remove, queryKey }: TagEditorProps) {
  const client = useQueryClient();
  const [key, setKey] = useState("");
  const [value, setValue] = useState("");
  const change = useMutation({
    mutationFn: (run: () => Promise<unknown>) => run(),
    onSuccess: () => {
      setKey("");
      setValue("");
      return client.invalidateQueries({ queryKey });
    },
  });
  const { mutate } = change;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    mutate(() => set(key.trim(), value));
  };
  return (
    <div className="stack" style={{ gap: 6 }}>
      <form className="row" onSubmit={submit} aria-label={label}>
        {Object.entries(tags).map(([name, text]) => (
          <span key={name} className="tag">
            <button
              type="button"
              className="sort"
              title="change it"
              onClick={() => {
                setKey(name);
                setValue(text);
              }}
            >
              {name}
              {text && `: ${text}`}
            </button>{" "}
            <button
              type="button"
              className="sort"
              aria-label={`Remove the tag ${name}`}
              disabled={change.isPending}
              onClick={() => mutate(() => remove(name))}
            >
              ×
            </button>
          </span>
        ))}
        <input
          className="input"
          required
          aria-label={`Key, ${label}`}
          placeholder="key"
          value={key}
          onChange={(event) => setKey(event.target.value)}
        />
        <input
          className="input"
          aria-label={`Value, ${label}`}
          placeholder="value"
          value={value}
          onChange={(event) => setValue(event.target.value)}
        />
        <button type="submit" className="button" disabled={change.isPending}>
          Set
        </button>
      </form>
      {change.error && <Failure problem={explain(change.error)} />}
    </div>
  );
}
