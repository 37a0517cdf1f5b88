import { autocompletion, closeCompletion, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { syntaxHighlighting } from "@codemirror/language";
import { type Diagnostic, lintGutter, setDiagnostics } from "@codemirror/lint";
import { searchKeymap } from "@codemirror/search";
import { Compartment, EditorState, type Text } from "@codemirror/state";
import { EditorView, keymap, lineNumbers } from "@codemirror/view";
import { useEffect, useRef, useState } from "react";
import { extensionOf, type Language, type Names } from "./languages";
import { editorTheme, highlight } from "./theme";

export interface Mark {
  line: number;
  column: number;
  length: number;
  message: string;
  severity: "error" | "warning";
}

interface EditorProps {
  text: string;
  language: Language;
  label: string;
  marks?: Mark[];
  /** Tables and their columns, offered while SQL is typed. */
  names?: Names;
  onChange?: (text: string) => void;
  onSubmit?: () => void;
}

/** CodeMirror; read-only unless `onChange` is given. */
export function Editor({ text, language, label, marks, names, onChange, onSubmit }: EditorProps) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const handlers = useRef({ onChange, onSubmit });
  const initial = useRef(text);
  const latest = useRef(names);
  const [speech] = useState(() => new Compartment());
  useEffect(() => {
    handlers.current = { onChange, onSubmit };
  });
  const readOnly = onChange === undefined;

  useEffect(() => {
    if (!host.current) return;
    const submit = (editor: EditorView) => {
      closeCompletion(editor);
      handlers.current.onSubmit?.();
      return handlers.current.onSubmit !== undefined;
    };
    const editor = new EditorView({
      parent: host.current,
      state: EditorState.create({
        doc: initial.current,
        extensions: [
          lineNumbers(),
          history(),
          speech.of(extensionOf(language, latest.current)),
          readOnly ? [] : autocompletion({ icons: false }),
          syntaxHighlighting(highlight),
          editorTheme,
          lintGutter(),
          EditorState.readOnly.of(readOnly),
          EditorView.lineWrapping,
          EditorView.contentAttributes.of({ "aria-label": label, tabindex: "0" }),
          keymap.of([
            { key: "Mod-Enter", run: submit },
            ...completionKeymap,
            ...defaultKeymap,
            ...historyKeymap,
            ...searchKeymap,
          ]),
          // What would be offered in a moment is not, once one has gone elsewhere.
          EditorView.domEventHandlers({ blur: (_, editor) => void closeCompletion(editor) }),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) handlers.current.onChange?.(update.state.doc.toString());
          }),
        ],
      }),
    });
    view.current = editor;
    return () => editor.destroy();
  }, [language, label, readOnly, speech]);

  useEffect(() => {
    latest.current = names;
    view.current?.dispatch({ effects: speech.reconfigure(extensionOf(language, names)) });
  }, [language, names, speech]);

  useEffect(() => {
    const editor = view.current;
    if (editor && editor.state.doc.toString() !== text)
      editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: text } });
  }, [text]);

  useEffect(() => {
    const editor = view.current;
    if (!editor) return;
    const found = (marks ?? []).map((mark) => diagnostic(editor.state.doc, mark));
    editor.dispatch(setDiagnostics(editor.state, found));
  }, [marks]);

  return <div ref={host} />;
}

function diagnostic(doc: Text, mark: Mark): Diagnostic {
  const line = doc.line(Math.min(Math.max(mark.line, 1), doc.lines));
  const from = Math.min(line.from + mark.column - 1, line.to);
  return { from, to: Math.min(from + mark.length, line.to), severity: mark.severity, message: mark.message };
}
