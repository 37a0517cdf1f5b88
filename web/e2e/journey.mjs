// Walks the main journey in Chromium: node e2e/journey.mjs BASE_URL FOLDER
// Fails on a stop that does not come, a request to another host, an error in the page, an address that does not restore its page, or a
// serious finding of axe-core; in both colour schemes. Pictures go to FOLDER.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { launch } from "./browser.mjs";
import { STOPS } from "./pages.mjs";
import { barriers, watch } from "./watch.mjs";

const [base = "http://127.0.0.1:7878", folder = "journey"] = process.argv.slice(2);
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
  watch(page, home, report);
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
    for (const violation of await barriers(page)) report(violation);
    await leave?.(page);
  }
  stop = "restore";
  await restores(page, report);
  await context.close();
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
