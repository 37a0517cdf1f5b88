import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import type { PromptVersionView } from "../../../api/types.gen";
import { explain } from "../../../ui/Answer";
import { Failure } from "../../../ui/Failure";
import { removeAlias, setAlias } from "./queries";

/** The aliases of a version, to be added and taken away. */
export function Aliases({ name, version }: { name: string; version: PromptVersionView }) {
  const client = useQueryClient();
  const [alias, setText] = useState("");
  const change = useMutation({
    mutationFn: (run: () => Promise<unknown>) => run(),
    onSuccess: () => {
      setText("");
      return client.invalidateQueries({ queryKey: ["prompts"] });
    },
  });
  const { mutate } = change;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    mutate(() => setAlias(name, alias.trim(), version.version));
  };
  return (
    <div className="stack" style={{ gap: 6 }}>
      <form className="row" onSubmit={submit} aria-label="aliases">
        {version.aliases.map((one) => (
          <span key={one} className="tag accent">
            {one}{" "}
            <button
              type="button"
              className="sort"
              aria-label={`Remove the alias ${one}`}
              disabled={change.isPending}
              onClick={() => mutate(() => removeAlias(name, one))}
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
