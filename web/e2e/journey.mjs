// Walks the main journey in Chromium: node e2e/journey.mjs BASE_URL FOLDER
// Fails on a stop that does not come, a request to another host, an error in the page, an address that does not restore its page, or a
// serious finding of axe-core; in both colour schemes. Pictures go to FOLDER.
import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { launch } from "./browser.mjs";
import { STOPS } from "./pages.mjs";

const [base = "http://127.0.0.1:7878", folder = "journey"] = process.argv.slice(2);
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const home = new URL(base).host;
const findings = [];

await mkdir(folder, { recursive: true });
const browser = await launch();
for (const scheme of ["light", "dark"]) await walk(scheme);
await browser.close();
for (const finding of findings) console.error(finding);
console.log(`${STOPS.length} stops in 2 colour schemes, ${findings.length} findings`);
process.exitCode = findings.length > 0 ? 1 : 0;

async function walk(scheme) {
  const context = await browser.newContext({
    colorScheme: scheme,
    viewport: { width: 1440, height: 900 },
    reducedMotion: "reduce",
  });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  let stop = "start";
  const report = (what) => findings.push(`${scheme}, ${stop}: ${what}`);
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
  for (const { name, go, leave } of STOPS) {
    stop = name;
    try {
      await go(page, base);
    } catch (error) {
      report(`not reached: ${error.message.split("\n")[0]}`);
      await page.screenshot({ path: join(folder, `${name}-${scheme}-missed.png`) });
      continue;
    }
    await page.waitForTimeout(250);
    await page.screenshot({ path: join(folder, `${name}-${scheme}.png`), fullPage: true });
    for (const violation of await check(page)) report(violation);
    await leave?.(page);
  }
  stop = "restore";
  await restores(page, report);
  await context.close();
}

/** Serious and critical findings, one line each. */
async function check(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(
      ({ id, nodes }) =>
        `axe ${id}: ${nodes.length} times, first ${nodes[0].target.join(" ")}: ${nodes[0].any[0]?.message ?? nodes[0].html}`,
    );
}

/** Loads the last page's address anew and expects the same heading. */
async function restores(page, report) {
  const heading = page.getByRole("heading", { level: 1 });
  const before = await heading.innerText();
  await page.reload();
  await heading.waitFor();
  const after = await heading.innerText();
  if (before !== after) report(`"${before}" became "${after}" after loading ${page.url()} again`);
}
