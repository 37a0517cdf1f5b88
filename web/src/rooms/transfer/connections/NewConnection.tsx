import { useState } from "react";
import type { ConnectionsView } from "../../../api/types.gen";
import { blank, type Schema, shapeOf } from "../../../forms/schema/shape";
import { Card } from "../../../ui/Card";
import { ConnectionForm } from "./ConnectionForm";

interface NewConnectionProps {
  view: ConnectionsView;
  kind?: string;
  onKind: (kind: string | undefined) => void;
}

/** What there is to connect to, and the form of what was chosen. */
export function NewConnection({ view, kind: chosen, onKind }: NewConnectionProps) {
  const [made, setMade] = useState<string | null>(null);
  const kind = view.kinds.find(({ name }) => name === chosen);
  return (
    <>
      <Card title="New connection">
        <div className="row" role="group" aria-label="kinds of connections">
          {view.kinds.map(({ name, summary }) => (
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
        </div>
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
