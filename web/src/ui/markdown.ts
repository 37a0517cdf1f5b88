/** A part of a text that stands on lines of its own. */
export type Block =
  | { kind: "heading"; level: number; text: string }
  | { kind: "paragraph"; text: string }
  | { kind: "code"; text: string }
  | { kind: "list"; items: string[] }
  | { kind: "table"; head: string[]; rows: string[][] };

/** A part of a line. */
export type Span =
  | { kind: "text" | "code" | "strong" | "emphasis"; text: string }
  | { kind: "link"; text: string; address: string };

const HEADING = /^(#{1,6})\s+(.*)$/;
const ITEM = /^\s*(?:[-*+]|\d+[.)])\s+(.*)$/;
const RULE = /^\s*\|?\s*:?-{3,}.*$/;

/** Reads a text into blocks. What is none of them is a paragraph. */
export function blocks(text: string): Block[] {
  const lines = text.replaceAll("\r\n", "\n").split("\n");
  const found: Block[] = [];
  let at = 0;
  const take = (wanted: (line: string) => boolean): string[] => {
    const from = at;
    while (at < lines.length && wanted(lines[at] ?? "")) at += 1;
    return lines.slice(from, at);
  };
  while (at < lines.length) {
    const line = lines[at] ?? "";
    const heading = HEADING.exec(line);
    if (line.trim() === "") {
      at += 1;
    } else if (heading) {
      found.push({ kind: "heading", level: heading[1]?.length ?? 1, text: heading[2] ?? "" });
      at += 1;
    } else if (line.startsWith("```")) {
      at += 1;
      found.push({ kind: "code", text: take((next) => !next.startsWith("```")).join("\n") });
      at += 1;
    } else if (line.includes("|") && RULE.test(lines[at + 1] ?? "")) {
      const [head = [], , ...rows] = take((next) => next.includes("|")).map(cells);
      found.push({ kind: "table", head, rows });
    } else if (ITEM.test(line)) {
      found.push({ kind: "list", items: take((next) => ITEM.test(next)).map((item) => ITEM.exec(item)?.[1] ?? "") });
    } else {
      at += 1;
      const more = take(
        (next) => next.trim() !== "" && !HEADING.test(next) && !ITEM.test(next) && !next.startsWith("```"),
      );
      found.push({ kind: "paragraph", text: [line, ...more].join(" ") });
    }
  }
  return found;
}

/** The cells of a line of a table; `\\|` is no border. */
function cells(line: string): string[] {
  const inner = line
    .trim()
    .replace(/^\|/, "")
    .replace(/(?<!\\)\|$/, "");
  return inner.split(/(?<!\\)\|/).map((cell) => cell.trim());
}

const SPAN = /`([^`]+)`|\*\*([^*]+)\*\*|\*([^*]+)\*|\[([^\]]+)\]\(([^)\s]+)\)|\\([\\`*_{}[\]()<>#+.!|-])/g;

/** Reads a line into spans. Only links to the web and within the server are links. */
export function spans(text: string): Span[] {
  const found: Span[] = [];
  const add = (piece: string) => {
    const last = found.at(-1);
    if (piece === "") return;
    if (last?.kind === "text") last.text += piece;
    else found.push({ kind: "text", text: piece });
  };
  let from = 0;
  for (const match of text.matchAll(SPAN)) {
    add(text.slice(from, match.index));
    from = match.index + match[0].length;
    const [whole, code, strong, emphasis, label, address, escaped] = match;
    if (code) found.push({ kind: "code", text: code });
    else if (strong) found.push({ kind: "strong", text: strong });
    else if (emphasis) found.push({ kind: "emphasis", text: emphasis });
    else if (label && address && /^(https?:\/\/|\/(?!\/))/.test(address))
      found.push({ kind: "link", text: label, address });
    else add(escaped ?? whole);
  }
  add(text.slice(from));
  return found;
}
