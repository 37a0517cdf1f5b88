import { useMutation, useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { explain } from "../../../ui/Answer";
import { Failure } from "../../../ui/Failure";
import { addPermission, namesQuery, type Role } from "./queries";
import { KINDS, levels, object } from "./words";

/** Allows something to a role. */
export function NewPermissionForm({ role, onDone }: { role: Role; onDone: () => unknown }) {
  const [kind, setKind] = useState("experiment");
  const [pattern, setPattern] = useState("*");
  const [permission, setLevel] = useState("READ");
  const names = useQuery(namesQuery(kind)).data ?? [];
  const allowed = levels(kind);
  const level = permission in allowed ? permission : (Object.keys(allowed)[0] ?? "READ");
  const add = useMutation({
    mutationFn: () =>
      addPermission(role.id, { resource_type: kind, resource_pattern: pattern.trim(), permission: level }),
    onSuccess: onDone,
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    add.mutate();
  };
  return (
    <form className="stack" onSubmit={submit} aria-label={`new permission of ${role.name}`}>
      <div className="row">
        <label className="row small">
          On
          <select
            className="input"
            value={kind}
            onChange={(event) => {
              setKind(event.target.value);
              setPattern("*");
            }}
          >
            {Object.entries(KINDS).map(([word, text]) => (
              <option key={word} value={word}>
                {text}
              </option>
            ))}
          </select>
        </label>
        <label className="row small">
          Which
          {kind === "prompt" ? (
            <input
              className="input"
              required
              title="a prompt's name, * for all"
              value={pattern}
              onChange={(event) => setPattern(event.target.value)}
            />
          ) : (
            <select className="input" value={pattern} onChange={(event) => setPattern(event.target.value)}>
              <option value="*">{object(kind, "*")}</option>
              {kind !== "workspace" &&
                names.map(({ value, name }) => (
                  <option key={value} value={value}>
                    {name}
                  </option>
                ))}
            </select>
          )}
        </label>
        <label className="row small">
          May
          <select className="input" value={level} onChange={(event) => setLevel(event.target.value)}>
            {Object.entries(allowed).map(([word, text]) => (
              <option key={word} value={word}>
                {text}
              </option>
            ))}
          </select>
        </label>
        <button type="submit" className="button" disabled={add.isPending}>
          Allow it
        </button>
      </div>
      {add.error && <Failure problem={explain(add.error)} />}
    </form>
  );
}
