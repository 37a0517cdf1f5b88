import { useMutation } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import type { FlowEdit, FlowModel, FlowView, TextMap } from "../../../api/types.gen";
import { checkFlow, editFlow, saveFlow } from "../queries";
import { amended, begin, type Past, redone, undone, went } from "./past";

/** A text and what it says. */
export interface Draft {
  yaml: string;
  model: FlowModel;
}

/** Milliseconds without a key after which a typed text is looked at. */
const PAUSE = 500;

/**
 * The text of a flow and all that is done to it. The text is the only state: a gesture becomes another text on the server, which keeps
 * comments and order; going back is going back to a text. Gestures are done one after the other.
 */
export function useDesigner(view: FlowView) {
  const [past, setPast] = useState<Past<Draft>>(() => begin({ yaml: view.yaml, model: view.model }));
  const [tables, setTables] = useState<TextMap>(view.tables);
  const [kept, setKept] = useState({ yaml: view.yaml, etag: view.etag });
  const [typed, setTyped] = useState<string | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(0);
  // What the next gesture begins from, while the page has not yet been drawn with it.
  const latest = useRef({ past, tables: view.tables });
  const queue = useRef<Promise<unknown>>(Promise.resolve());

  const inTurn = (work: () => Promise<void>) => {
    setBusy((count) => count + 1);
    const done = queue.current.then(work).then(
      () => setError(null),
      (failure: unknown) => setError(failure),
    );
    queue.current = done.then(() => setBusy((count) => count - 1));
    return queue.current;
  };
  const put = (next: Past<Draft>) => {
    latest.current.past = next;
    setTyped(null);
    setPast(next);
  };
  const go = (next: Draft) => {
    const before = latest.current.past;
    put(before.now.yaml === next.yaml ? amended(before, next) : went(before, next));
  };
  const edit = (edits: FlowEdit[]) =>
    inTurn(async () => go(await editFlow(latest.current.past.now.yaml, edits, latest.current.tables)));
  const write = (yaml: string) => inTurn(async () => go({ yaml, model: await checkFlow(yaml, latest.current.tables) }));
  /** Looks at the text again: the tables are others, or were others when it was looked at. */
  const look = async () => {
    const { yaml } = latest.current.past.now;
    const model = await checkFlow(yaml, latest.current.tables);
    put(amended(latest.current.past, { yaml, model }));
  };
  const choose = (source: string, table: string) => {
    const { [source]: _, ...others } = latest.current.tables;
    const next = table === "" ? others : { ...others, [source]: table };
    latest.current.tables = next;
    setTables(next);
    void inTurn(look);
  };
  const move = (to: (past: Past<Draft>) => Past<Draft>) =>
    inTurn(async () => {
      put(to(latest.current.past));
      await look();
    });
  const save = useMutation({
    mutationFn: (etag: string) => saveFlow(view.name, latest.current.past.now.yaml, etag),
    onSuccess: ({ yaml, etag }) => setKept({ yaml, etag }),
  });

  const writeLater = useRef(write);
  useEffect(() => {
    writeLater.current = write;
  });
  useEffect(() => {
    if (typed === null) return;
    const timer = setTimeout(() => void writeLater.current(typed), PAUSE);
    return () => clearTimeout(timer);
  }, [typed]);

  const changed = (typed ?? past.now.yaml) !== kept.yaml;
  useEffect(() => {
    if (!changed) return;
    const ask = (event: BeforeUnloadEvent) => event.preventDefault();
    window.addEventListener("beforeunload", ask);
    return () => window.removeEventListener("beforeunload", ask);
  }, [changed]);

  return {
    yaml: typed ?? past.now.yaml,
    model: past.now.model,
    tables,
    error,
    busy: busy > 0,
    changed,
    kept,
    canUndo: past.before.length > 0,
    canRedo: past.after.length > 0,
    edit,
    choose,
    type: setTyped,
    undo: () => void move(undone),
    redo: () => void move(redone),
    save,
  };
}

export type Designer = ReturnType<typeof useDesigner>;
