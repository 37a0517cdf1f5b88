import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Answer } from "../../../../ui/Answer";
import { Markdown } from "../../../../ui/markdown/Markdown";
import { wholeQuery } from "../queries";
import { TextView } from "./TextView";
import type { ViewerProps } from "./viewer";

/** A Markdown text, laid out or as it was written. */
export function MarkdownView(props: ViewerProps) {
  const [plain, setPlain] = useState(false);
  const query = useQuery(wholeQuery(props.path, props.size));
  return (
    <div className="stack">
      <label className="row small">
        <input type="checkbox" checked={plain} onChange={(event) => setPlain(event.target.checked)} /> as written
      </label>
      {plain ? <TextView {...props} /> : <Answer query={query}>{(text) => <Markdown text={text} />}</Answer>}
    </div>
  );
}
