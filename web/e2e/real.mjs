// Walks every page of a real server that has run the bundled demo: node e2e/real.mjs BASE_URL FOLDER
// In both colour schemes, wide and narrow. Fails on a stop whose heading or content does not come, an error in the page, an answer of 400
// or more, a request to another host, a page wider than its window, or a serious finding of axe-core. Pictures go to FOLDER. It reads and
// scores, and changes nothing else. The server listens on the loopback address, as `millrace demo` does, and so asks for no login.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { launch } from "./browser.mjs";
import { discover, stops } from "./demo.mjs";
import { barriers, overflow, watch } from "./watch.mjs";

const [address = "http://127.0.0.1:7878", folder = "real"] = process.argv.slice(2);
const { origin, host } = new URL(address);
const SIZES = [
  { width: 1440, height: 900 },
  { width: 390, height: 844 },
];
// What the README shows: one screen of it, not the whole page.
const PICTURE = "run-light-1440";
const findings = [];
let visited = 0;

await mkdir(folder, { recursive: true });
const browser = await launch();
try {
  for (const colorScheme of ["light", "dark"]) for (const viewport of SIZES) await walk(colorScheme, viewport);
} finally {
  await browser.close();
}
for (const finding of findings) console.error(finding);
console.log(`${visited} stops, ${findings.length} findings`);
process.exitCode = findings.length > 0 ? 1 : 0;

async function walk(colorScheme, viewport) {
  const context = await browser.newContext({ colorScheme, viewport, reducedMotion: "reduce" });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  let at = "start";
  watch(page, host, (what) => findings.push(`${at}: ${what}`));
  await page.goto(address);
  const found = await discover((path) => read(context, path));
  for (const stop of stops(found)) {
    const name = `${stop.name}-${colorScheme}-${viewport.width}`;
    at = name;
    visited += 1;
    const missed = await reach(page, stop);
    if (missed) findings.push(`${at}: ${missed}`);
    // Charts and graphs settle after their data has come.
    await page.waitForTimeout(300);
    await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
    if (name === PICTURE) await page.screenshot({ path: join(folder, "readme.png") });
    for (const what of [...(await overflow(page)), ...(await barriers(page))]) findings.push(`${at}: ${what}`);
  }
  await context.close();
}

/** Goes to a stop and waits for what must be there; what did not come, or nothing. */
async function reach(page, { path, heading, do: act, come }) {
  let waited = `the page ${path ?? page.url()}`;
  try {
    if (path) {
      await page.goto(origin + path);
      await page.getByRole("heading", { level: 1 }).waitFor();
    }
    waited = "what was to be clicked";
    await act?.(page);
    waited = `the heading ${heading}`;
    if (heading) await page.getByRole("heading", { level: 1, name: heading }).waitFor();
    for (const [index, wanted] of come.entries()) {
      waited = `part ${index + 1} of the page`;
      await wanted(page).filter({ visible: true }).first().waitFor();
    }
    return undefined;
  } catch (error) {
    return `${waited} did not come: ${error.message.split("\n")[0]} ${wait(error)}`;
  }
}

/** What Playwright waited for. */
function wait(error) {
  return /waiting for .*/.exec(error.message)?.[0] ?? "";
}

async function read(context, path) {
  const response = await context.request.get(origin + path, { headers: { accept: "application/json" } });
  if (!response.ok()) throw new Error(`${response.status()} for ${path}: ${await response.text()}`);
  return response.json();
}
