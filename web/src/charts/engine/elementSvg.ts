/** The data URL of an element made of HTML, drawn as plain SVG that any program opens: boxes, edges, words, and the SVG within. */
export function elementUrl(element: HTMLElement): string {
  const frame = element.getBoundingClientRect();
  // What scrolls is drawn in whole.
  const size = [...element.querySelectorAll<HTMLElement>("*")].reduce(
    (most, inner) => {
      const box = inner.getBoundingClientRect();
      return {
        width: Math.max(most.width, box.right - frame.left),
        height: Math.max(most.height, box.bottom - frame.top),
      };
    },
    { width: frame.width, height: frame.height },
  );
  const parts = drawn(element, frame).join("");
  const [width, height] = [Math.ceil(size.width), Math.ceil(size.height)];
  const text = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">${parts}</svg>`;
  return `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
}

function drawn(element: Element, frame: DOMRect): string[] {
  const style = getComputedStyle(element);
  if (style.display === "none" || style.visibility === "hidden" || style.clipPath === "inset(50%)") return [];
  if (element instanceof SVGSVGElement) return [inner(element, frame)];
  const inside = [...element.childNodes].flatMap((child) => {
    if (child instanceof Element) return drawn(child, frame);
    return child.nodeType === Node.TEXT_NODE && child.textContent?.trim() ? [words(child, element, style, frame)] : [];
  });
  return [...box(element, style, frame), ...inside];
}

function box(element: Element, style: CSSStyleDeclaration, frame: DOMRect): string[] {
  const { left, top, width, height } = element.getBoundingClientRect();
  const [x, y] = [left - frame.left, top - frame.top];
  const rect = (fill: string) =>
    `<rect x="${x}" y="${y}" width="${width}" height="${height}" rx="${Number.parseFloat(style.borderRadius) || 0}" fill="${fill}"/>`;
  const parts: string[] = [];
  if (!clear(style.backgroundColor)) parts.push(rect(plain(style.backgroundColor)));
  // A pattern, such as the hatching of a wait.
  if (style.backgroundImage !== "none") parts.push(rect(`${plain(style.color)}" opacity="0.35`));
  if (Number.parseFloat(style.borderBottomWidth) > 0 && !clear(style.borderBottomColor)) {
    const at = y + height - 0.5;
    parts.push(`<path d="M${x} ${at}H${x + width}" stroke="${plain(style.borderBottomColor)}"/>`);
  }
  return parts;
}

function words(node: ChildNode, parent: Element, style: CSSStyleDeclaration, frame: DOMRect): string {
  const range = document.createRange();
  range.selectNodeContents(node);
  const { left, top, width, height } = range.getBoundingClientRect();
  const size = Number.parseFloat(style.fontSize) || 12;
  const [x, y] = [left - frame.left, top - frame.top + height / 2 + size * 0.35];
  const look = `font-family="${escaped(style.fontFamily)}" font-size="${size}" font-weight="${style.fontWeight}" fill="${plain(style.color)}"`;
  const cut = parent.clientWidth > 0 && width > parent.clientWidth ? ` textLength="${parent.clientWidth}"` : "";
  return `<text x="${x}" y="${y}" ${look}${cut}>${escaped(node.textContent?.trim() ?? "")}</text>`;
}

function inner(element: SVGSVGElement, frame: DOMRect): string {
  const { left, top, width, height } = element.getBoundingClientRect();
  const copy = element.cloneNode(true) as SVGSVGElement;
  const place = {
    x: left - frame.left,
    y: top - frame.top,
    width,
    height,
    color: plain(getComputedStyle(element).color),
  };
  for (const [name, value] of Object.entries(place)) copy.setAttribute(name, String(value));
  return resolved(new XMLSerializer().serializeToString(copy));
}

/** A text with its custom properties read, as no other program knows them. */
export function resolved(text: string): string {
  const style = getComputedStyle(document.documentElement);
  return text.replaceAll(/var\((--[a-z0-9-]+)\)/g, (_, name: string) => style.getPropertyValue(name).trim());
}

function clear(color: string): boolean {
  return color === "" || color === "transparent" || /^rgba\(.*, 0\)$/.test(color);
}

/** A mixed color as SVG 1.1 knows it. */
export function plain(color: string): string {
  const [, red, green, blue] = /^color\(srgb ([\d.e-]+) ([\d.e-]+) ([\d.e-]+)/.exec(color) ?? [];
  if (red === undefined) return color;
  return `rgb(${[red, green, blue].map((share) => Math.round(Number(share) * 255)).join(",")})`;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
