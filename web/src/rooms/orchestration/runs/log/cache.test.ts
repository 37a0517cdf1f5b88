import { expect, it } from "vitest";
import { LogCache, PAGE } from "./cache";

const line = (number: number) => ({ number, at_ms: null, stream: "stdout", text: `line ${number}`, cut: false });
const lines = (from: number, count: number) => Array.from({ length: count }, (_, at) => line(from + at));

it("knows which pages are whole", () => {
  const cache = new LogCache();
  cache.put(lines(PAGE - 2, 4));
  expect(cache.line(PAGE)?.text).toBe(`line ${PAGE}`);
  expect([cache.has(0, PAGE + 2), cache.has(1, PAGE + 2), cache.has(1, PAGE + 3), cache.has(2, 9999)]).toEqual([
    false,
    true,
    false,
    false,
  ]);
});

it("forgets what was not looked at for longest", () => {
  const cache = new LogCache();
  cache.put(lines(0, 1));
  cache.put(lines(PAGE, 1));
  cache.has(0, 1);
  for (let page = 2; page <= 80; page++) cache.put(lines(page * PAGE, 1));
  expect([cache.line(0)?.number, cache.line(PAGE)?.number]).toEqual([0, undefined]);
});
