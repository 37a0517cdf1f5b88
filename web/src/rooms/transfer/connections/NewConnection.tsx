import { useState } from "react";
import type { ConnectionFamily, ConnectionsView } from "../../../api/types.gen";
import { blank, type Schema, shapeOf } from "../../../forms/schema/shape";
import { Card } from "../../../ui/Card";
import { ConnectionForm } from "./ConnectionForm";

interface NewConnectionProps {
  view: ConnectionsView;
  kind?: string;
  onKind: (kind: string | undefined) => void;
}

const FAMILIES: [ConnectionFamily, string][] = [
  ["files", "Files"],
  ["databases", "Databases"],
  ["apis", "Web APIs"],
  ["queues", "Messages and mails"],
  ["programs", "Programs"],
  ["engines", "Engines"],
];

/** What there is to connect to, and the form of what was chosen. */
export function NewConnection({ view, kind: chosen, onKind }: NewConnectionProps) {
  const [made, setMade] = useState<string | null>(null);
  const kind = view.kinds.find(({ name }) => name === chosen);
  return (
    <>
      <Card title="New connection">
        <dl className="connection-kinds" aria-label="kinds of connections">
          {FAMILIES.map(([family, title]) => (
            <div key={family}>
              <dt className="muted small">{title}</dt>
              <dd className="row">
                {view.kinds
                  .filter((kind) => kind.family === family)
                  .map(({ name, summary }) => (
                    <button
                      key={name}
                      type="button"
                      className="button"
                      title={summary}
                      aria-pressed={name === chosen}
                      onClick={() => onKind(name === chosen ? undefined : name)}
                    >
                      {name}
                    </button>
                  ))}
              </dd>
            </div>
          ))}
        </dl>
        <p className="muted small" role="status">
          {made && `Saved ${made}.`}
        </p>
      </Card>
      {kind && (
        <ConnectionForm
          key={kind.name}
          view={view}
          connection={{
            name: "",
            kind: kind.name,
            settings: blank(shapeOf(kind.schema as Schema)) as never,
            line: 0,
            problem: null,
          }}
          onDone={(name) => {
            setMade(name);
            onKind(undefined);
          }}
        />
      )}
    </>
  );
}
