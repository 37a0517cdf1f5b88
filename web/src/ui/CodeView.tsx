import { lazy, Suspense } from "react";
import type { Mark } from "./code/Editor";
import type { Language, Names } from "./code/languages";

const Editor = lazy(() => import("./code/Editor").then((module) => ({ default: module.Editor })));

interface CodeViewProps {
  text: string;
  language: Language;
  label: string;
  marks?: Mark[];
  names?: Names;
  onChange?: (text: string) => void;
  onSubmit?: () => void;
}

/** Text with colours and line numbers; plain until the editor has loaded. */
export function CodeView(props: CodeViewProps) {
  const plain = (
    <pre className="code" tabIndex={0} aria-label={props.label}>
      {props.text}
    </pre>
  );
  return (
    <Suspense fallback={plain}>
      <Editor {...props} />
    </Suspense>
  );
}
