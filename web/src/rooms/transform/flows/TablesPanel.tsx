import { Card } from "../../../ui/Card";
import { OutputsField } from "./OutputsField";
import { SourceTable } from "./SourceTable";
import type { Designer } from "./useDesigner";

/** What goes into the flow and what comes out, while no node is chosen. */
export function TablesPanel({ designer }: { designer: Designer }) {
  const { sources } = designer.model;
  return (
    <>
      <Card title="Tables">
        <div className="stack">
          {sources.length === 0 && <p className="muted small">The flow reads no table yet: add a source.</p>}
          {sources.map((source) => (
            <SourceTable key={source} source={source} designer={designer} />
          ))}
        </div>
      </Card>
      <Card title="Gives">
        <OutputsField designer={designer} />
      </Card>
    </>
  );
}
