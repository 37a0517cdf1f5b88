import { createElement, type ReactNode, useMemo } from "react";
import { type Block, blocks, spans } from "./blocks";

/** A Markdown text, laid out; HTML in it stays text. `own`: its links may also lead within this server. */
export function Markdown({ text, own = false }: { text: string; own?: boolean }) {
  const found = useMemo(() => blocks(text), [text]);
  return <div className="prose">{found.map((part, index) => block(part, index, own))}</div>;
}

function block(part: Block, index: number, own: boolean): ReactNode {
  const line = (words: string) => inline(words, own);
  switch (part.kind) {
    case "heading":
      // The page has a first heading of its own.
      return createElement(`h${Math.min(part.level + 1, 6)}`, { key: index }, line(part.text));
    case "paragraph":
      return <p key={index}>{line(part.text)}</p>;
    case "code":
      return (
        <pre key={index} className="code" tabIndex={0}>
          {part.text}
        </pre>
      );
    case "quote":
      return <blockquote key={index}>{part.blocks.map((inner, at) => block(inner, at, own))}</blockquote>;
    case "list":
      return createElement(
        part.ordered ? "ol" : "ul",
        { key: index },
        part.items.map((words, at) => item(words, at, line)),
      );
    case "table":
      return (
        <div key={index} className="table-scroll" tabIndex={0} role="region" aria-label={part.head.join(", ")}>
          <table className="table">
            <thead>
              <tr>{part.head.map((cell, at) => createElement("th", { key: at, scope: "col" }, line(cell)))}</tr>
            </thead>
            <tbody>
              {part.rows.map((row, at) =>
                numbered(
                  "tr",
                  at,
                  row.map((cell, to) => numbered("td", to, line(cell))),
                ),
              )}
            </tbody>
          </table>
        </div>
      );
    case "rule":
      return <hr key={index} />;
  }
}

function item([first = "", ...more]: string[], index: number, line: (words: string) => ReactNode[]): ReactNode {
  const inner = more.length > 0 && <ul>{more.map((text, at) => numbered("li", at, line(text)))}</ul>;
  return numbered("li", index, [<span key="text">{line(first)}</span>, <span key="more">{inner}</span>]);
}

/** Parts of a text that does not change are told apart by their place. */
function numbered(tag: string, key: number, children: ReactNode): ReactNode {
  return createElement(tag, { key }, children);
}

function inline(text: string, own: boolean): ReactNode[] {
  return spans(text, own).map(({ kind, text: words, href }, index) => {
    if (kind === "link")
      return createElement("a", { key: index, href, target: "_blank", rel: "noreferrer noopener" }, words);
    const tag = { text: "span", code: "code", strong: "strong", emphasis: "em" }[kind];
    return createElement(tag, { key: index }, words);
  });
}
