import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { ConnectionView } from "../../../api/types.gen";
import { bytes } from "../../../format/bytes";
import { Answer, explain } from "../../../ui/Answer";
import { Disclosure } from "../../../ui/Disclosure";
import { Failure } from "../../../ui/Failure";
import { connectionsQuery, datasetNamesQuery, filesQuery, tryConnection } from "../queries";

type Choose = (place: string) => void;

/** Files, connections and datasets that a table can be read from. */
export function Places({ label, onChoose }: { label: string; onChoose: Choose }) {
  const connections = useQuery(connectionsQuery());
  const datasets = useQuery(datasetNamesQuery());
  return (
    <nav className="copy-places" aria-label={label}>
      <Disclosure summary="Files" open={window.innerWidth >= 760}>
        <Folder folder="" onChoose={onChoose} />
      </Disclosure>
      <Disclosure summary="Connections">
        <Answer query={connections} rows={2}>
          {(view) =>
            view.connections.length === 0 ? (
              <p className="muted small">
                None yet; <a href="/connections">make one</a>.
              </p>
            ) : (
              view.connections.map((connection) => (
                <Connected key={connection.name} connection={connection} onChoose={onChoose} />
              ))
            )
          }
        </Answer>
      </Disclosure>
      <Disclosure summary="Datasets">
        <Answer query={datasets} rows={2}>
          {(names) => (
            <ul className="plain" style={{ gap: 0 }}>
              {names.map((name) => (
                <Place key={name} place={`data:${name}`} name={name} onChoose={onChoose} />
              ))}
            </ul>
          )}
        </Answer>
      </Disclosure>
    </nav>
  );
}

function Place({
  place,
  name,
  size,
  onChoose,
}: {
  place: string;
  name: string;
  size?: number | null;
  onChoose: Choose;
}) {
  return (
    <li>
      <button type="button" className="copy-place" title={place} onClick={() => onChoose(place)}>
        <span className="clip">{name}</span>
        {size !== undefined && <span className="muted small">{bytes(size)}</span>}
      </button>
    </li>
  );
}

function Folder({ folder, onChoose }: { folder: string; onChoose: Choose }) {
  const files = useQuery(filesQuery(folder));
  return (
    <Answer query={files} rows={3}>
      {(found) => (
        <ul className="plain" style={{ gap: 0 }}>
          {found.map((file) =>
            file.is_folder ? (
              <li key={file.path}>
                <Subfolder path={file.path} name={file.name} onChoose={onChoose} />
              </li>
            ) : (
              <Place key={file.path} place={file.path} name={file.name} size={file.size_bytes} onChoose={onChoose} />
            ),
          )}
        </ul>
      )}
    </Answer>
  );
}

function Subfolder({ path, name, onChoose }: { path: string; name: string; onChoose: Choose }) {
  const [open, setOpen] = useState(false);
  return (
    <details className="copy-folder" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary className="clip">{name}</summary>
      <div style={{ paddingLeft: 12 }}>{open && <Folder folder={path} onChoose={onChoose} />}</div>
    </details>
  );
}

/** What a connection has, asked when it is opened. */
function Connected({ connection, onChoose }: { connection: ConnectionView; onChoose: Choose }) {
  const { name, kind, settings } = connection;
  const found = useMutation({ mutationFn: () => tryConnection({ name, kind: kind ?? "", settings }) });
  const names = found.data?.names ?? [];
  return (
    <details className="copy-folder" onToggle={(event) => event.currentTarget.open && found.isIdle && found.mutate()}>
      <summary className="clip">{name}</summary>
      <div style={{ paddingLeft: 12 }}>
        {found.isPending && <p className="muted small">Connecting…</p>}
        {found.error && <Failure problem={explain(found.error)} />}
        {found.data?.problem && <Failure problem={found.data.problem} />}
        {found.data && !found.data.problem && names.length === 0 && <p className="muted small">Nothing is listed.</p>}
        <ul className="plain" style={{ gap: 0 }}>
          {names.map((table) => (
            <Place key={table} place={`${name}:${table}`} name={table} onChoose={onChoose} />
          ))}
        </ul>
      </div>
    </details>
  );
}
