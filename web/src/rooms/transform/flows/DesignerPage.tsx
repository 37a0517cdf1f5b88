import IconArrowBackUp from "@tabler/icons-react/dist/esm/icons/IconArrowBackUp.mjs";
import IconArrowForwardUp from "@tabler/icons-react/dist/esm/icons/IconArrowForwardUp.mjs";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { type KeyboardEvent, useState } from "react";
import type { FlowKindView, FlowView } from "../../../api/types.gen";
import { plural } from "../../../format/number";
import { explain } from "../../../ui/Answer";
import { Failure } from "../../../ui/Failure";
import { PageHead } from "../../../ui/PageHead";
import { Tabs } from "../../../ui/Tabs";
import type { FlowSearch } from "../search";
import { FlowText } from "./FlowText";
import { FlowUses } from "./FlowUses";
import { NodePanel } from "./NodePanel";
import { NodeRows } from "./NodeRows";
import { NodeTable } from "./NodeTable";
import { Palette } from "./Palette";
import { Refused } from "./Refused";
import { TablesPanel } from "./TablesPanel";
import { useDesigner } from "./useDesigner";
import { useGestures } from "./useGestures";
import { useLastRun } from "./lastRun";
import { LazyCanvas } from "./LazyCanvas";

interface DesignerPageProps {
  view: FlowView;
  kinds: FlowKindView[];
  onReload: () => void;
}

/** A flow, and all that can be done to it. */
export function DesignerPage({ view, kinds, onReload }: DesignerPageProps) {
  const search = useSearch({ from: "/flows/$name" });
  const navigate = useNavigate({ from: "/flows/$name" });
  const change = (next: FlowSearch) =>
    void navigate({ search: (before) => ({ ...before, ...next }), replace: true, resetScroll: false });
  const designer = useDesigner(view);
  const { model } = designer;
  const last = useLastRun(view);
  const locked = view.read_only !== null;
  const select = (node: string | null) => change({ node: node ?? undefined });
  const gestures = useGestures(designer, kinds, search.node ?? null, select, locked);
  const [message, setMessage] = useState("");
  const node = model.nodes.find(({ id }) => id === search.node);
  const wrong = model.nodes.filter(({ problem }) => problem?.severity === "error").length + model.problems.length;
  const save = () => {
    if (!designer.changed || locked) return;
    setMessage("");
    designer.save.mutate(designer.kept.etag, { onSuccess: () => setMessage(`Saved ${view.file}`) });
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const key = event.key.toLowerCase();
    if (!(event.ctrlKey || event.metaKey)) return;
    // Within a text, going back is about the text.
    const inText = (event.target as HTMLElement).closest("input, textarea, .cm-editor") !== null;
    if (key === "s") save();
    else if (inText) return;
    else if (key === "z" && event.shiftKey) designer.redo();
    else if (key === "y") designer.redo();
    else if (key === "z") designer.undo();
    else return;
    event.preventDefault();
  };
  return (
    <div className="stack" role="presentation" onKeyDown={onKeyDown}>
      <PageHead
        title={view.name}
        status={designer.changed && <span className="tag accent">not saved</span>}
        about={model.description ?? view.file}
        actions={
          <>
            <button
              type="button"
              className="button icon"
              aria-label="Undo"
              disabled={!designer.canUndo}
              onClick={designer.undo}
            >
              <IconArrowBackUp size={16} aria-hidden />
            </button>
            <button
              type="button"
              className="button icon"
              aria-label="Redo"
              disabled={!designer.canRedo}
              onClick={designer.redo}
            >
              <IconArrowForwardUp size={16} aria-hidden />
            </button>
            <button
              type="button"
              className="button primary"
              disabled={locked || !designer.changed || designer.save.isPending}
              onClick={save}
            >
              {designer.save.isPending ? "Saving…" : "Save"}
            </button>
          </>
        }
      />
      {view.read_only && <p className="problem warning">This flow can be read only: {view.read_only}.</p>}
      <p className="visually-hidden" aria-live="polite">
        {message} {wrong > 0 && plural(wrong, "problem")}
      </p>
      {designer.save.error && <Refused designer={designer} view={view} onReload={onReload} />}
      {Boolean(designer.error) && <Failure problem={explain(designer.error)} />}
      {model.problems.map((problem) => (
        <Failure key={problem.message} problem={problem} />
      ))}
      <div className="designer">
        {!locked && <Palette kinds={kinds} onAdd={(kind) => gestures.add(kind, node?.id ?? null)} />}
        <div className="stack">
          <div className="card body designer-view">
            <Tabs
              label="views of the flow"
              value={search.view ?? "canvas"}
              onChange={(key) => change({ view: key === "canvas" ? undefined : key })}
              tabs={[
                { key: "canvas", label: "Canvas" },
                { key: "list", label: "List" },
                { key: "yaml", label: "YAML" },
              ]}
            >
              {search.view === "yaml" ? (
                <FlowText designer={designer} view={view} />
              ) : search.view === "list" ? (
                <NodeTable model={model} selected={search.node ?? null} last={last} onSelect={select} />
              ) : (
                <LazyCanvas
                  model={model}
                  kinds={kinds}
                  selected={search.node ?? null}
                  last={last}
                  locked={locked}
                  onSelect={select}
                  gestures={gestures}
                />
              )}
            </Tabs>
          </div>
          {node && <NodeRows key={node.id} designer={designer} node={node} />}
          <FlowUses view={view} last={last} />
        </div>
        <aside className="stack" aria-label="properties">
          {node ? (
            <NodePanel
              key={node.id}
              node={node}
              model={model}
              kinds={kinds}
              designer={designer}
              gestures={gestures}
              locked={locked}
            />
          ) : (
            <TablesPanel designer={designer} />
          )}
        </aside>
      </div>
    </div>
  );
}
