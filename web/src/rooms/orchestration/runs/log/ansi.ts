/** How a piece of a line looks: classes only, so that both colour schemes keep their contrast. */
export interface Span {
  text: string;
  /** 0 to 7: black, red, green, yellow, blue, magenta, cyan, white; `null` for the text's own colour. */
  color: number | null;
  bold: boolean;
  dim: boolean;
  italic: boolean;
  underline: boolean;
}

type Look = Omit<Span, "text">;

const PLAIN: Look = { color: null, bold: false, dim: false, italic: false, underline: false };

const ESC = "\u001b";
const BEL = "\u0007";

// Sequences that colour (group 1), any other sequence, links and titles, other escapes, control characters but the tab.
const SEQUENCE = new RegExp(
  [
    `${ESC}\\[([\\d;:]*)m`,
    `${ESC}\\[[\\d;:?<=>]*[ -/]*[@-~]`,
    `${ESC}\\][^${BEL}${ESC}]*(?:${BEL}|${ESC}\\\\)?`,
    `${ESC}.?`,
    "(?!\t)\\p{Cc}",
  ].join("|"),
  "gu",
);

/** A line as spans of one look each. What moves or deletes is left out; what a carriage return overwrote too. */
export function spans(line: string): Span[] {
  const text = lastWritten(line);
  const found: Span[] = [];
  let look = PLAIN;
  let from = 0;
  const add = (piece: string) => piece && found.push({ ...look, text: piece });
  for (const match of text.matchAll(SEQUENCE)) {
    add(text.slice(from, match.index));
    if (match[1] !== undefined) look = changed(look, match[1]);
    from = match.index + match[0].length;
  }
  add(text.slice(from));
  return found;
}

/** The line without its sequences. */
export function plain(line: string): string {
  return spans(line)
    .map((span) => span.text)
    .join("");
}

/** Progress bars write over themselves: what stands behind the last carriage return is what a terminal would show. */
function lastWritten(line: string): string {
  const kept = line.replace(/\r+$/, "");
  return kept.slice(kept.lastIndexOf("\r") + 1);
}

function changed(look: Look, parameters: string): Look {
  const codes = parameters.split(/[;:]/).map(Number);
  let next = look;
  for (let at = 0; at < codes.length; at++) {
    const code = codes[at] ?? 0;
    if (code === 38 || code === 48) {
      const palette = codes[at + 1] === 5;
      const color = palette ? ofPalette(codes[at + 2] ?? 0) : ofRgb(codes.slice(at + 2, at + 5));
      if (code === 38) next = { ...next, color };
      at += palette ? 2 : 4;
    } else next = { ...next, ...of(code) };
  }
  return next;
}

function of(code: number): Partial<Look> {
  if (code === 0) return PLAIN;
  if (code === 1) return { bold: true };
  if (code === 2) return { dim: true };
  if (code === 3) return { italic: true };
  if (code === 4) return { underline: true };
  if (code === 22) return { bold: false, dim: false };
  if (code === 23) return { italic: false };
  if (code === 24) return { underline: false };
  if (code >= 30 && code <= 37) return { color: code - 30 };
  if (code >= 90 && code <= 97) return { color: code - 90 };
  return code === 39 ? { color: null } : {};
}

function ofPalette(index: number): number | null {
  if (index < 16) return index % 8;
  if (index > 231) return null;
  const cube = index - 16;
  return ofRgb([Math.floor(cube / 36), Math.floor(cube / 6) % 6, cube % 6].map((part) => part * 51));
}

/** The nearest of the eight: of a colour of any brightness, the hue counts. */
function ofRgb(parts: number[]): number | null {
  const [red = 0, green = 0, blue = 0] = parts;
  const most = Math.max(red, green, blue);
  const least = Math.min(red, green, blue);
  if (most - least < 48) return null;
  const half = (most + least) / 2;
  return (red > half ? 1 : 0) + (green > half ? 2 : 0) + (blue > half ? 4 : 0);
}
