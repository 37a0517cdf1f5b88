import { useState } from "react";
import type { FlowKindView } from "../../../api/types.gen";
import { Card } from "../../../ui/Card";

/** What is dragged from here to the canvas is of this type. */
export const KIND_TYPE = "application/x-millrace-transform";

/** The kinds of nodes: a click puts one after the chosen node, a drag where it is dropped. */
export function Palette({ kinds, onAdd }: { kinds: readonly FlowKindView[]; onAdd: (kind: string) => void }) {
  const [search, setSearch] = useState("");
  const wanted = search.trim().toLowerCase();
  const found = kinds.filter(({ name, summary }) => `${name} ${summary}`.toLowerCase().includes(wanted));
  return (
    <div className="designer-palette">
      <Card title="Add">
        <div className="stack" style={{ gap: 6 }}>
          <input
            type="search"
            className="input"
            aria-label="Search transforms"
            placeholder="Search"
            value={search}
            onChange={(event) => setSearch(event.target.value)}
          />
          <ul className="plain" style={{ gap: 2 }} aria-label="transforms">
            {found.map((kind) => (
              <li key={kind.name}>
                <button
                  type="button"
                  className="palette-kind"
                  title={kind.summary}
                  draggable
                  onDragStart={(event) => event.dataTransfer.setData(KIND_TYPE, kind.name)}
                  onClick={() => onAdd(kind.name)}
                >
                  {kind.name}
                </button>
              </li>
            ))}
          </ul>
          {found.length === 0 && <p className="muted small">No transform is like that.</p>}
        </div>
      </Card>
    </div>
  );
}
