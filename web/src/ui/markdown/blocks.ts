/** A part of a Markdown text. */
export type Block =
  | { kind: "heading"; level: number; text: string }
  | { kind: "paragraph"; text: string }
  | { kind: "code"; text: string }
  | { kind: "quote"; blocks: Block[] }
  | { kind: "list"; ordered: boolean; items: string[][] }
  | { kind: "table"; head: string[]; rows: string[][] }
  | { kind: "rule" };

const FENCE = /^ {0,3}(```+|~~~+)/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*\s*$/;
const RULE = /^ {0,3}([-*_])(\s*\1){2,}\s*$/;
const ITEM = /^( {0,3})([-*+]|\d{1,9}[.)])\s+(.*)$/;
const TABLE_LINE = /^ {0,3}\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;

/** The blocks of a Markdown text: what model cards and notes use of CommonMark, and GitHub's tables. HTML stays text. */
export function blocks(text: string): Block[] {
  const lines = text.replaceAll("\r\n", "\n").split("\n");
  const found: Block[] = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at] ?? "";
    const fence = FENCE.exec(line)?.[1];
    const heading = HEADING.exec(line);
    if (line.trim() === "") at += 1;
    else if (fence) {
      const end = lines.findIndex((other, index) => index > at && other.trim().startsWith(fence));
      found.push({ kind: "code", text: lines.slice(at + 1, end < 0 ? undefined : end).join("\n") });
      at = end < 0 ? lines.length : end + 1;
    } else if (heading) {
      found.push({ kind: "heading", level: heading[1]?.length ?? 1, text: heading[2] ?? "" });
      at += 1;
    } else if (RULE.test(line)) {
      found.push({ kind: "rule" });
      at += 1;
    } else if (/^ {0,3}>/.test(line)) {
      const end = endOf(lines, at, (other) => /^ {0,3}>/.test(other));
      const inner = lines.slice(at, end).map((other) => other.replace(/^ {0,3}> ?/, ""));
      found.push({ kind: "quote", blocks: blocks(inner.join("\n")) });
      at = end;
    } else if (ITEM.test(line)) {
      const end = endOf(lines, at, (other) => ITEM.test(other) || /^\s{2,}\S/.test(other));
      found.push(list(lines.slice(at, end)));
      at = end;
    } else if (line.includes("|") && TABLE_LINE.test(lines[at + 1] ?? "")) {
      const end = endOf(lines, at, (other) => other.includes("|"));
      const [head = [], , ...rows] = lines.slice(at, end).map(cells);
      found.push({ kind: "table", head, rows });
      at = end;
    } else {
      const begins = (other: string) =>
        other.trim() === "" || FENCE.test(other) || HEADING.test(other) || ITEM.test(other) || /^ {0,3}>/.test(other);
      const end = endOf(lines, at, (other) => !begins(other));
      found.push({ kind: "paragraph", text: lines.slice(at, end).join("\n") });
      at = end;
    }
  }
  return found;
}

/** The first line after `at` that does not go on. */
function endOf(lines: readonly string[], at: number, goesOn: (line: string) => boolean): number {
  const end = lines.findIndex((line, index) => index > at && !goesOn(line));
  return end < 0 ? lines.length : end;
}

/** Items, each with its own text and those of the items within it. */
function list(lines: readonly string[]): Block {
  const items: string[][] = [];
  for (const line of lines) {
    const item = ITEM.exec(line);
    const inner = items.at(-1);
    if (item && (item[1]?.length ?? 0) < 2) items.push([item[3] ?? ""]);
    else if (inner) inner.push(line.trim().replace(/^([-*+]|\d{1,9}[.)])\s+/, ""));
  }
  return { kind: "list", ordered: /^\s*\d/.test(lines[0] ?? ""), items };
}

function cells(line: string): string[] {
  return line
    .trim()
    .replace(/^\||\|$/g, "")
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim().replaceAll("\\|", "|"));
}

/** A part of a line of text. */
export type Span = { kind: "text" | "code" | "strong" | "emphasis" | "link"; text: string; href?: string };

const SPAN =
  /(`+)(.+?)\1(?!`)|\*\*(.+?)\*\*|__(.+?)__|\*([^*\s][^*]*?)\*|(?<!\w)_([^_\s][^_]*?)_(?!\w)|!?\[([^\]]*)\]\(([^\s)]+)[^)]*\)|<(https?:[^>\s]+)>|\\([\\`*_{}[\]()<>#+.!|-])/g;
const WEB = /^https?:/i;
const OWN = /^\/(?!\/)/;

/** The parts of a line: code, strong and emphasised words, links that lead to the web, and, of texts of ours, within the server. */
export function spans(text: string, own = false): Span[] {
  const found: Span[] = [];
  const say = (words: string) => {
    const last = found.at(-1);
    if (last?.kind === "text") last.text += words;
    else if (words) found.push({ kind: "text", text: words });
  };
  let at = 0;
  for (const match of text.matchAll(SPAN)) {
    say(text.slice(at, match.index));
    const [whole, , code, strong, under, emphasis, slanted, label, href, bare, escaped] = match;
    const target = href ?? bare;
    if (code !== undefined) found.push({ kind: "code", text: code });
    else if (target !== undefined && (WEB.test(target) || (own && OWN.test(target))))
      found.push({ kind: "link", text: label || target, href: target });
    else if ((label ?? escaped) !== undefined) say(label ?? escaped ?? "");
    else if ((strong ?? under) !== undefined) found.push({ kind: "strong", text: strong ?? under ?? "" });
    else found.push({ kind: "emphasis", text: emphasis ?? slanted ?? whole });
    at = match.index + whole.length;
  }
  say(text.slice(at));
  return found;
}
