import { afterEach, expect, it } from "vitest";
import { elementUrl, plain, resolved } from "./elementSvg";

afterEach(() => document.body.replaceChildren());

it("draws the words of an element, none of them as markup", () => {
  const host = document.createElement("div");
  host.textContent = 'a < b & "c"';
  document.body.append(host);
  const text = decodeURIComponent(elementUrl(host));
  expect(text).toContain("a &lt; b &amp; &quot;c&quot;</text>");
  const parsed = new DOMParser().parseFromString(text.slice(text.indexOf("<svg")), "image/svg+xml");
  expect(parsed.querySelector("parsererror")).toBeNull();
});

it("leaves out what is hidden", () => {
  const host = document.createElement("div");
  host.innerHTML = '<span style="display: none">secret</span><span>seen</span>';
  document.body.append(host);
  const text = decodeURIComponent(elementUrl(host));
  expect(text).toContain("seen");
  expect(text).not.toContain("secret");
});

it("writes mixed colours as SVG knows them", () => {
  expect(plain("color(srgb 1 0.5 0)")).toBe("rgb(255,128,0)");
  expect(plain("rgb(1, 2, 3)")).toBe("rgb(1, 2, 3)");
});

it("reads custom properties", () => {
  document.documentElement.style.setProperty("--line", "#123456");
  expect(resolved('fill="var(--line)"')).toBe('fill="#123456"');
});
