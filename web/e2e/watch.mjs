// What every journey looks for on every page: trouble that a reader would not see, or would see and not report.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Reports errors in the page, failed answers, and requests to any other host than `home`. */
export function watch(page, home, report) {
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol.startsWith("http") && url.host !== home) report(`request to ${url.host}`);
  });
  page.on("pageerror", (error) => report(`error in the page: ${error.message}`));
  page.on("console", (message) => message.type() === "error" && report(`console: ${message.text()}`));
  page.on(
    "response",
    (response) => response.status() >= 400 && report(`${response.status()} for ${new URL(response.url()).pathname}`),
  );
}

/** Serious and critical findings of axe-core, one line each. */
export async function barriers(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(
      ({ id, nodes }) =>
        `axe ${id}: ${nodes.length} times, first ${nodes[0].target.join(" ")}: ${nodes[0].any[0]?.message ?? nodes[0].html}`,
    );
}

/** Pixels by which the page is wider than its window, and what sticks out; empty if nothing does. */
export async function overflow(page) {
  const { excess, what } = await page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    const excess = scrollWidth - clientWidth;
    const wide = [...document.querySelectorAll("main *")].find(
      (element) => element.getBoundingClientRect().right > clientWidth + 1 && !element.closest(".table-scroll, .graph"),
    );
    return { excess, what: wide?.outerHTML.slice(0, 120) };
  });
  return excess > 0 ? [`${excess} px wider than the window: ${what ?? "outside of the main part"}`] : [];
}
