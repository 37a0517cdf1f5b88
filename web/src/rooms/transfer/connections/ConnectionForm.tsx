import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useId, useMemo, useState } from "react";
import type { ConnectionsView, ConnectionView } from "../../../api/types.gen";
import { SchemaField } from "../../../forms/schema/SchemaField";
import { type Schema, shapeOf } from "../../../forms/schema/shape";
import { explain } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { Confirm } from "../../../ui/Confirm";
import { Disclosure } from "../../../ui/Disclosure";
import { Failure } from "../../../ui/Failure";
import { connectionsQuery, removeConnection, saveConnection, tryConnection } from "../queries";
import { Tried } from "./Tried";

interface ConnectionFormProps {
  view: ConnectionsView;
  /** As its file has it; a new one has no name yet. */
  connection: ConnectionView;
  /** It was saved under this name, or removed. */
  onDone: (name: string | null) => void;
}

/** A connection as a form made of its kind's schema, and whether it leads anywhere. */
export function ConnectionForm({ view, connection, onDone }: ConnectionFormProps) {
  const id = useId();
  const client = useQueryClient();
  const fresh = connection.line === 0;
  const kind = view.kinds.find(({ name }) => name === connection.kind);
  const shape = useMemo(() => shapeOf((kind?.schema ?? {}) as Schema), [kind]);
  const secrets = useMemo(() => new Set(kind?.secrets), [kind]);
  const [name, setName] = useState(connection.name);
  const [settings, setSettings] = useState<unknown>(connection.settings);
  const [removing, setRemoving] = useState(false);
  const locked = view.read_only !== null || !kind;
  const wanted = { kind: connection.kind ?? "", settings: settings as never };
  const kept = (next: ConnectionsView) => client.setQueryData(connectionsQuery().queryKey, next);
  const test = useMutation({ mutationFn: () => tryConnection({ name: name || "new", ...wanted }) });
  const save = useMutation({
    mutationFn: () => saveConnection(name.trim(), { ...wanted, etag: view.etag ?? undefined }),
    onSuccess: (next) => {
      kept(next);
      onDone(name.trim());
    },
  });
  const gone = useMutation({
    mutationFn: () => removeConnection(connection.name, view.etag),
    onSuccess: (next) => {
      kept(next);
      onDone(null);
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate();
  };
  const change = (next: unknown) => {
    setSettings(next);
    // What was tried is no longer what stands there.
    test.reset();
  };
  return (
    <Card
      title={
        <>
          {connection.name || "New"} <span className="muted">{connection.kind}</span>
        </>
      }
      actions={
        !fresh &&
        view.read_only === null && (
          <button type="button" className="button" onClick={() => setRemoving(true)}>
            Remove
          </button>
        )
      }
    >
      <form className="stack connection-form" onSubmit={submit} aria-label={`connection ${connection.name}`}>
        {kind ? (
          <p className="muted small">{kind.summary}</p>
        ) : (
          <p className="muted">There is no form for connections of this kind; change the file.</p>
        )}
        {connection.problem && <Failure problem={connection.problem} />}
        {fresh && (
          <div className="field">
            <label htmlFor={id}>Name</label>
            <input
              id={id}
              className="input mono"
              required
              pattern="[a-z][a-z0-9_]*"
              value={name}
              aria-describedby={`${id}-help`}
              onChange={(event) => setName(event.target.value)}
            />
            <span className="help" id={`${id}-help`}>
              Lower-case letters, digits and _; {kind?.family === "engines" ? "steps" : "copies"} name it:{" "}
              {kind?.family === "engines" ? `engine: ${name || "farm"}` : `${name || "shop"}:orders`}
            </span>
          </div>
        )}
        {kind && <SchemaField shape={shape} value={settings} label={kind.name} secrets={secrets} onChange={change} />}
        <div className="row">
          <button type="submit" className="button primary" disabled={locked || save.isPending || name.trim() === ""}>
            {save.isPending ? "Saving…" : "Save"}
          </button>
          <button type="button" className="button" disabled={locked || test.isPending} onClick={() => test.mutate()}>
            {test.isPending ? "Connecting…" : "Test connection"}
          </button>
        </div>
        {save.error && <Failure problem={explain(save.error)} />}
        {test.error && <Failure problem={explain(test.error)} />}
        {test.data && <Tried tried={test.data} name={name} />}
      </form>
      {kind && (
        <Disclosure summary={`About ${kind.name}`}>
          <p className="small" style={{ whiteSpace: "pre-line" }}>
            {kind.description}
          </p>
        </Disclosure>
      )}
      {removing && (
        <Confirm
          title={`Remove ${connection.name}?`}
          action="Remove it"
          busy={gone.isPending}
          error={gone.error}
          onConfirm={() => gone.mutate()}
          onClose={() => setRemoving(false)}
        >
          <p>It goes out of {view.file}. Its secrets stay. What copies over it will fail.</p>
        </Confirm>
      )}
    </Card>
  );
}
