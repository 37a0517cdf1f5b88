import { useEffect, useMemo, useRef, useState } from "react";
import type { FlowKindView, FlowModel, FlowNodeView } from "../../../api/types.gen";
import { SchemaField } from "../../../forms/schema/SchemaField";
import { type Schema, shapeOf } from "../../../forms/schema/shape";
import { Card } from "../../../ui/Card";
import { Disclosure } from "../../../ui/Disclosure";
import { Failure } from "../../../ui/Failure";
import { columnsBefore } from "./graph";
import { NodeReads } from "./NodeReads";
import { NodeWords } from "./NodeWords";
import { SourceTable } from "./SourceTable";
import type { Designer } from "./useDesigner";
import type { Gestures } from "./useGestures";

interface NodePanelProps {
  node: FlowNodeView;
  model: FlowModel;
  kinds: readonly FlowKindView[];
  designer: Designer;
  gestures: Gestures;
  locked: boolean;
}

/** Milliseconds without a key after which what was typed is put into the text. */
const PAUSE = 600;

/** A node: its name, what it reads, how it is set, what it gives. */
export function NodePanel({ node, model, kinds, designer, gestures, locked }: NodePanelProps) {
  const kind = kinds.find(({ name }) => name === node.kind);
  const shape = useMemo(() => shapeOf((kind?.schema ?? {}) as Schema), [kind]);
  const words = useMemo(() => columnsBefore(model, node), [model, node]);
  const [draft, setDraft] = useState<{ config: unknown } | null>(null);
  const [shown, setShown] = useState(node.config);
  if (JSON.stringify(shown) !== JSON.stringify(node.config)) {
    // The text says something else now: it was undone, or edited beside.
    setShown(node.config);
    setDraft(null);
  }
  const configure = useRef(gestures.configure);
  useEffect(() => {
    configure.current = gestures.configure;
  });
  useEffect(() => {
    if (draft === null || JSON.stringify(draft.config) === JSON.stringify(node.config)) return;
    const timer = setTimeout(() => configure.current(node.id, draft.config), PAUSE);
    return () => clearTimeout(timer);
  }, [draft, node.id, node.config]);
  return (
    <Card
      title={
        <>
          {node.id} <span className="muted">{node.kind}</span>
        </>
      }
      actions={
        !locked && (
          <button type="button" className="button" onClick={() => gestures.remove(node.id)}>
            Remove
          </button>
        )
      }
    >
      <fieldset className="stack plain-fieldset" disabled={locked}>
        {kind && <p className="muted small">{kind.summary}</p>}
        {node.problem && <Failure problem={node.problem} />}
        {node.kind === "source" && <SourceTable source={String(node.config)} designer={designer} />}
        {kind && (
          <SchemaField
            shape={shape}
            value={draft ? draft.config : node.config}
            label={kind.name}
            words={words}
            onChange={(config) => setDraft({ config })}
          />
        )}
        {kind && kind.reads !== "none" && (
          <NodeReads node={node} model={model} reads={kind.reads} gestures={gestures} />
        )}
        <NodeWords node={node} gestures={gestures} />
      </fieldset>
      {kind && (
        <Disclosure summary={`About ${kind.name}`}>
          <p className="small" style={{ whiteSpace: "pre-line" }}>
            {kind.description}
          </p>
          <pre className="code" tabIndex={0} aria-label="example">
            {kind.example}
          </pre>
        </Disclosure>
      )}
    </Card>
  );
}
