import type { ReactNode } from "react";
import { type Block, blocks, spans } from "./markdown";

/** Markdown as far as cards need it: headings, paragraphs, lists, tables, code, emphasis and links. HTML in it stays text. */
export function Markdown({ text }: { text: string }) {
  return <div className="stack">{blocks(text).map((block, at) => element(block, at))}</div>;
}

function element(block: Block, key: number): ReactNode {
  if (block.kind === "heading") {
    // The page has the first heading.
    return block.level === 1 ? (
      <h3 key={key}>
        <Inline text={block.text} />
      </h3>
    ) : (
      <h4 key={key}>
        <Inline text={block.text} />
      </h4>
    );
  }
  if (block.kind === "code") {
    return (
      <pre key={key} className="code" tabIndex={0}>
        {block.text}
      </pre>
    );
  }
  if (block.kind === "list") {
    return (
      <ul key={key}>
        {numbered(block.items).map(([at, item]) => (
          <li key={at}>
            <Inline text={item} />
          </li>
        ))}
      </ul>
    );
  }
  if (block.kind === "table") {
    return (
      <div key={key} className="table-scroll" tabIndex={0} role="region" aria-label={block.head.join(", ")}>
        <table className="table">
          <thead>
            <tr>
              {numbered(block.head).map(([at, cell]) => (
                <th key={at} scope="col">
                  <Inline text={cell} />
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {numbered(block.rows).map(([row, cells]) => (
              <tr key={row}>
                {numbered(cells).map(([at, cell]) => (
                  <td key={at}>
                    <Inline text={cell} />
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    );
  }
  return (
    <p key={key}>
      <Inline text={block.text} />
    </p>
  );
}

const numbered = <T,>(entries: readonly T[]): [number, T][] => entries.map((entry, at) => [at, entry]);

function Inline({ text }: { text: string }) {
  return numbered(spans(text)).map(([at, span]) => {
    if (span.kind === "code") return <code key={at}>{span.text}</code>;
    if (span.kind === "strong") return <strong key={at}>{span.text}</strong>;
    if (span.kind === "emphasis") return <em key={at}>{span.text}</em>;
    if (span.kind === "link")
      return (
        <a key={at} href={span.address} rel="noreferrer">
          {span.text}
        </a>
      );
    return span.text;
  });
}
