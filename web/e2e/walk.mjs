// Walks stops of a real server in both colour schemes, wide and narrow, and says what is wrong with a page.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { launch } from "./browser.mjs";
import { barriers, overflow, watch } from "./watch.mjs";

const SIZES = [
  { width: 1440, height: 900 },
  { width: 390, height: 844 },
];

/**
 * Walks all stops four times; prints what is wrong and sets the exit code. Each stop has a name, the address to open (without one it goes
 * on from the stop before), the first heading, what to `do`, and what must `come` before the picture is taken. `find` is told how to read
 * the API and gives the stops. A stop that shows a refusal says by `expects` which words of a finding are none. `picture` names the stop
 * whose first screen is kept as `readme.png`.
 */
export async function walk(address, folder, find, picture) {
  const { origin, host } = new URL(address);
  const findings = [];
  let visited = 0;
  await mkdir(folder, { recursive: true });
  const browser = await launch();
  try {
    for (const colorScheme of ["light", "dark"])
      for (const viewport of SIZES) {
        const context = await browser.newContext({ colorScheme, viewport, reducedMotion: "reduce" });
        const page = await context.newPage();
        page.setDefaultTimeout(15_000);
        let at = "start";
        let expected;
        watch(page, host, (what) => expected?.test(what) || findings.push(`${at}: ${what}`));
        await page.goto(address);
        for (const stop of await find((path) => read(context, origin + path))) {
          const name = `${stop.name}-${colorScheme}-${viewport.width}`;
          at = name;
          expected = stop.expects;
          visited += 1;
          const missed = await reach(page, origin, stop);
          if (missed) findings.push(`${at}: ${missed}`);
          // Charts and graphs settle after their data has come.
          await page.waitForTimeout(300);
          await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
          if (name === picture) await page.screenshot({ path: join(folder, "readme.png") });
          for (const what of [...(await overflow(page)), ...(await barriers(page))])
            if (!expected?.test(what)) findings.push(`${at}: ${what}`);
        }
        await context.close();
      }
  } finally {
    await browser.close();
  }
  for (const finding of findings) console.error(finding);
  console.log(`${visited} stops, ${findings.length} findings`);
  process.exitCode = findings.length > 0 ? 1 : 0;
}

/** Goes to a stop and waits for what must be there; what did not come, or nothing. */
async function reach(page, origin, { path, heading, do: act, come }) {
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

async function read(context, url) {
  const response = await context.request.get(url, { headers: { accept: "application/json" } });
  if (!response.ok()) throw new Error(`${response.status()} for ${url}: ${await response.text()}`);
  return response.json();
}
