import { value } from "../../format/value";

/** A tooltip of a title and named values; made of elements, so that no name is read as markup. */
export function tip(title: string, facts: readonly [name: string, value: unknown][]): HTMLElement {
  const box = document.createElement("div");
  const head = document.createElement("strong");
  head.textContent = title;
  box.append(head);
  for (const [name, fact] of facts) {
    const line = document.createElement("div");
    line.textContent = `${name}: ${fact === undefined || fact === null ? "–" : value(fact)}`;
    box.append(line);
  }
  return box;
}

/** The surroundings of a tooltip. */
export const tipLook = ({ surface, line, text }: { surface: string; line: string; text: string }) => ({
  confine: true,
  backgroundColor: surface,
  borderColor: line,
  textStyle: { color: text, fontSize: 12 },
});
