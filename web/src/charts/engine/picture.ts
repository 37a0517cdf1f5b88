import { resolved } from "./elementSvg";

/** Draws an SVG data URL into a PNG data URL at twice the size. */
export async function png(svg: string, background: string): Promise<string> {
  const image = new Image();
  image.src = svg;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = image.width * 2;
  canvas.height = image.height * 2;
  const context = canvas.getContext("2d");
  if (!context) throw new Error("this browser cannot draw");
  context.fillStyle = background;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL("image/png");
}

/** The data URL of an SVG element, with the colours it has on the page. */
export function svgUrl(element: SVGSVGElement): string {
  const copy = element.cloneNode(true) as SVGSVGElement;
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  const { width, height } = element.getBoundingClientRect();
  copy.setAttribute("width", String(width));
  copy.setAttribute("height", String(height));
  const text = resolved(new XMLSerializer().serializeToString(copy));
  return `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
}
