import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { explain } from "../../ui/Answer";
import { Failure } from "../../ui/Failure";

interface AliasEditorProps {
  /** Those that point at the version that is shown. */
  aliases: readonly string[];
  /** Points an alias at this version, from wherever it points now. */
  set: (alias: string) => Promise<unknown>;
  remove: (alias: string) => Promise<unknown>;
  /** What the aliases are read with. */
  queryKey: readonly string[];
}

/** The aliases of a version, to be added and taken away. */
export function AliasEditor({ aliases, set, remove, queryKey }: AliasEditorProps) {
  const client = useQueryClient();
  const [alias, setText] = useState("");
  const change = useMutation({
    mutationFn: (run: () => Promise<unknown>) => run(),
    onSuccess: () => {
      setText("");
      return client.invalidateQueries({ queryKey });
    },
  });
  const { mutate } = change;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    mutate(() => set(alias.trim()));
  };
  return (
    <div className="stack" style={{ gap: 6 }}>
      <form className="row" onSubmit={submit} aria-label="aliases">
        {aliases.map((one) => (
          <span key={one} className="tag accent">
            {one}{" "}
            <button
              type="button"
              className="sort"
              aria-label={`Remove the alias ${one}`}
              disabled={change.isPending}
              onClick={() => mutate(() => remove(one))}
            >
              ×
            </button>
          </span>
        ))}
        <input
          className="input"
          required
          aria-label="New alias"
          placeholder="production"
          value={alias}
          onChange={(event) => setText(event.target.value)}
        />
        <button type="submit" className="button" disabled={change.isPending}>
          Point here
        </button>
      </form>
      {change.error && <Failure problem={explain(change.error)} />}
    </div>
  );
}
