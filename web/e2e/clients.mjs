// Drives the pages of what clients log, on a real server: node e2e/clients.mjs BASE_URL FOLDER
// It logs files, traces, prompts and evaluation data of its own (`seed.mjs`) and then uses the pages as people do. Fails as the journey does,
// and on anything that a page does not do. The server listens on the loopback address and so asks for no login.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { launch } from "./browser.mjs";
import { logMore, seed } from "./seed.mjs";
import { barriers, overflow, watch } from "./watch.mjs";

const [address = "http://127.0.0.1:7878", folder = "clients"] = process.argv.slice(2);
const { origin, host } = new URL(address);
const findings = [];
await mkdir(folder, { recursive: true });
const made = await seed(origin);
const [run] = made.runs;
const browser = await launch();

/** Fails the stop. */
function must(holds, what) {
  if (!holds) throw new Error(what);
}

const viewer = (page) => page.locator(".file-view");
const choose = (page, name) => page.getByRole("treeitem").filter({ hasText: name }).first().click();
const row = (page) => page.getByRole("region", { name: "tracked runs" }).locator("tbody tr:not([aria-hidden])");

const STOPS = [
  [
    "files-tree",
    async (page) => {
      await page.goto(`${origin}/tracked/${run}`);
      await page.getByRole("tab", { name: "Artifacts" }).click();
      await choose(page, "many");
      await page.getByText("part-0.txt").waitFor();
      const lines = await page.getByRole("treeitem").count();
      must(lines < 80, `${lines} lines exist of a tree of 400 files`);
      must(new URL(page.url()).searchParams.get("file") === "many", "the address does not name the folder");
    },
  ],
  [
    "files-zip",
    async (page) => {
      const [file] = await Promise.all([
        page.waitForEvent("download"),
        page.getByRole("link", { name: "Download as ZIP" }).click(),
      ]);
      must(file.suggestedFilename() === "many.zip", `the folder came as ${file.suggestedFilename()}`);
      must((await file.failure()) === null, "the download broke off");
    },
  ],
  [
    "files-markdown",
    async (page) => {
      await page.goto(`${origin}/tracked/${run}?file=README.md`);
      await viewer(page).getByRole("heading", { name: "Card" }).waitFor();
      await viewer(page).getByRole("cell", { name: "2" }).waitFor();
    },
  ],
  [
    "files-code",
    async (page) => {
      await choose(page, "train.py");
      await page.locator(".cm-line", { hasText: "import mlflow" }).waitFor();
    },
  ],
  [
    "files-table",
    async (page) => {
      await choose(page, "rows.csv");
      const table = page.getByRole("region", { name: "rows of rows.csv" });
      await table.getByRole("cell", { name: "UA, 3" }).first().waitFor();
      must((await table.locator("tr").count()) < 80, "all rows of the table exist");
      await viewer(page).getByRole("button", { name: "Load more" }).click();
      await viewer(page)
        .getByText(/38,\d{3} rows/)
        .waitFor();
    },
  ],
  [
    "files-log-table",
    async (page) => {
      await choose(page, "eval.json");
      await page
        .getByRole("region", { name: "rows of eval.json" })
        .getByRole("columnheader", { name: "score" })
        .waitFor();
    },
  ],
  [
    "files-html",
    async (page) => {
      await choose(page, "report.html");
      const frame = page.frameLocator('iframe[title="report.html"]');
      await frame.getByText("ran, reached nothing").waitFor();
      await frame.getByText("no cookies").waitFor();
    },
  ],
  [
    "files-svg",
    async (page) => {
      await choose(page, "drawing.svg");
      const picture = page.getByRole("img", { name: "drawing.svg" });
      await picture.waitFor();
      must(
        await picture.evaluate((image) => image.decode().then(() => image.naturalWidth)),
        "the drawing is not drawn",
      );
      must((await page.title()) === "Millrace", "a script in a drawing ran");
    },
  ],
  [
    "files-binary",
    async (page) => {
      await choose(page, "weights.bin");
      await viewer(page).getByText("A page does not show files of this kind.").waitFor();
    },
  ],
  [
    "files-model",
    async (page) => {
      await choose(page, "model");
      await viewer(page).getByText("python_function").waitFor();
      await viewer(page).getByRole("button", { name: "MLmodel" }).click();
      await page.locator(".cm-line", { hasText: "flavors" }).waitFor();
    },
  ],
  [
    "files-images",
    async (page) => {
      await page.getByRole("tab", { name: "Images by step" }).click();
      await page.getByRole("button", { name: /step 20/ }).click();
      await page.getByRole("slider").waitFor();
      await page.getByRole("button", { name: "earlier step" }).click();
      await page.waitForURL(/step%2B10|step\+10/);
      const picture = viewer(page).getByRole("img");
      must(await picture.evaluate((image) => image.decode().then(() => image.naturalWidth)), "the image is not drawn");
    },
  ],
  [
    "files-restored",
    async (page) => {
      await page.reload();
      await page.getByRole("treeitem", { selected: true }).filter({ hasText: "step+10" }).waitFor();
    },
  ],
  [
    "system-metrics",
    async (page) => {
      await page.getByRole("tab", { name: "System metrics" }).click();
      await page.locator("figure svg").first().waitFor();
    },
  ],
  [
    "single-values",
    async (page) => {
      await page.goto(`${origin}/experiments/${made.experiment}`);
      await page.getByText("logged once").waitFor();
    },
  ],
  [
    "short-table",
    async (page) => {
      const grid = page.getByRole("region", { name: "tracked runs" });
      await row(page).first().waitFor();
      const { height } = await grid.boundingBox();
      must(height < 200, `the table of three runs is ${height} px high`);
    },
  ],
  [
    "live-runs",
    async (page) => {
      // The server tells pages of changes every two seconds at most.
      await page.waitForTimeout(2_500);
      await logMore(origin, made.runs[2], 500);
      await row(page).getByRole("cell", { name: "0.01", exact: true }).waitFor();
    },
  ],
  [
    "gathered",
    async (page) => {
      await page.getByRole("combobox", { name: "group by" }).fill("params.depth");
      const groups = page.getByRole("region", { name: "groups of runs" });
      await groups.getByRole("button", { name: "5", exact: true }).click();
      await page.getByText("match the filter").waitFor();
      // The rows of before stay until those of the group have come.
      await row(page).nth(2).waitFor({ state: "detached" });
      must((await row(page).count()) === 2, "the group's runs are not shown");
    },
  ],
  [
    "traces",
    async (page) => {
      await page.goto(`${origin}/traces?experiment=${made.experiment}`);
      await page.getByRole("link", { name: "answer" }).waitFor();
      await page.getByRole("combobox", { name: "status" }).selectOption("OK");
      await page.waitForURL(/filter=/);
      const filter = page.getByRole("textbox", { name: "Filter" });
      await filter.fill("span.type = 'CHAT_MODEL' AND execution_time_ms > 100");
      await filter.press("Enter");
      await page.getByText("1 traces").waitFor();
    },
  ],
  [
    "trace",
    async (page) => {
      await page.getByRole("link", { name: "answer" }).click();
      await page.getByRole("treeitem", { name: /^chat,/ }).click();
      await page.locator(".message.user", { hasText: "is it on?" }).waitFor();
      await page.locator(".message.assistant", { hasText: "It is." }).waitFor();
    },
  ],
  [
    "trace-failed",
    async (page) => {
      await page.getByRole("button", { name: "1 failed, go to one" }).click();
      await page.getByRole("tab", { name: "Events 1" }).click();
      await page.getByText("TimeoutError no answer within 5 s").waitFor();
    },
  ],
  [
    "trace-exports",
    async (page) => {
      for (const kind of ["PNG", "SVG", "CSV"]) {
        await page.getByRole("button", { name: "Export Spans" }).click();
        const [file] = await Promise.all([
          page.waitForEvent("download"),
          page.getByRole("menuitem", { name: `Save as ${kind}` }).click(),
        ]);
        must(file.suggestedFilename() === `Spans.${kind.toLowerCase()}`, `${kind} came as ${file.suggestedFilename()}`);
      }
    },
  ],
  [
    "trace-assessed",
    async (page) => {
      await page.getByRole("button", { name: "Add", exact: true }).click();
      // The other colour scheme has left one of its own.
      const why = `looked at it at ${Date.now()}`;
      const said = page.locator(".row.spread", { hasText: why });
      await page.getByRole("textbox", { name: "Why" }).fill(why);
      await page.getByRole("button", { name: "Save" }).click();
      await said.getByRole("button", { name: "Edit" }).click();
      await page.getByRole("textbox", { name: "Value" }).fill("0.25");
      await page.getByRole("button", { name: "Save" }).click();
      await said.locator(".mono", { hasText: "0.25" }).waitFor();
    },
  ],
  [
    "trace-long",
    async (page) => {
      await page.goto(`${origin}/traces/${made.many}`);
      await page.getByText("30,000 shown").waitFor();
      const tree = page.getByRole("tree", { name: "spans" });
      const lines = await tree.getByRole("treeitem").count();
      must(lines < 80, `${lines} lines exist of 30,000`);
      const slowest = await frames(page, () => tree.evaluate(scrollThrough));
      must(slowest < 200, `a frame took ${slowest} ms while 30,000 spans were scrolled`);
      await page.getByRole("searchbox", { name: "Find spans" }).fill("turn 999");
      await page.getByRole("treeitem", { name: /^turn 999/ }).waitFor();
    },
  ],
  [
    "prompt",
    async (page) => {
      await page.goto(`${origin}/prompts/${made.prompt}?against=1`);
      await page.locator(".diff-added", { hasText: "Answer in one sentence." }).waitFor();
      await page.getByRole("textbox", { name: "New alias" }).fill("production");
      await page.getByRole("button", { name: "Point here" }).click();
      await page.getByRole("button", { name: "Remove the alias production" }).waitFor();
    },
  ],
  [
    "webhooks",
    async (page) => {
      await page.goto(`${origin}/webhooks`);
      const name = `hook-${made.experiment}-${Date.now()}`;
      await page.getByRole("button", { name: "New webhook" }).click();
      await page.getByRole("textbox", { name: "Name" }).fill(name);
      await page.getByRole("textbox", { name: "Address" }).fill("http://127.0.0.1:9/hook");
      await page.getByRole("checkbox", { name: "registered_model.created" }).check();
      await page.getByRole("button", { name: "Create" }).click();
      const line = page.getByRole("row").filter({ hasText: name });
      await line.getByRole("button", { name: "Test" }).click();
      await page.getByText(/It failed/).waitFor();
      await line.getByRole("button", { name, exact: true }).click();
      await page.getByRole("heading", { name: "Deliveries" }).waitFor();
    },
  ],
  [
    "evaluation",
    async (page) => {
      await page.goto(`${origin}/evaluation/${made.dataset}`);
      await page.getByText("200 of 450 read").waitFor();
      await page.getByRole("button", { name: "Load more" }).click();
      await page.getByText("400 of 450 read").waitFor();
      await page.getByRole("cell", { name: "question 3", exact: true }).click();
      await page.getByRole("heading", { name: "Expectations" }).waitFor();
    },
  ],
];

/** The longest time between two frames while something goes on, ms. */
async function frames(page, act) {
  await page.evaluate(() => {
    globalThis.slowest = 0;
    let last = performance.now();
    const next = (now) => {
      globalThis.slowest = Math.max(globalThis.slowest, now - last);
      last = now;
      requestAnimationFrame(next);
    };
    requestAnimationFrame(next);
  });
  await act();
  return page.evaluate(() => Math.round(globalThis.slowest));
}

/** From top to bottom in sixty frames; runs in the page. */
async function scrollThrough(element) {
  for (let step = 1; step <= 60; step += 1) {
    element.scrollTop = (element.scrollHeight * step) / 60;
    await new Promise((done) => requestAnimationFrame(done));
  }
}

for (const colorScheme of ["light", "dark"]) {
  const context = await browser.newContext({
    colorScheme,
    viewport: { width: 1440, height: 900 },
    reducedMotion: "reduce",
  });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  let at = "start";
  watch(page, host, (what) => {
    // The report tries to reach the server, and is refused; that is the point.
    if (!(at === "files-html" && /Content Security Policy|Failed to fetch/.test(what)))
      findings.push(`${colorScheme}, ${at}: ${what}`);
  });
  for (const [name, go] of STOPS) {
    at = name;
    try {
      await go(page);
    } catch (error) {
      findings.push(`${colorScheme}, ${name}: ${error.message.split("\n").slice(0, 3).join(" ")}`);
    }
    await page.waitForTimeout(250);
    await page.screenshot({ path: join(folder, `${name}-${colorScheme}.png`), fullPage: true });
    for (const what of [...(await overflow(page)), ...(await barriers(page))])
      findings.push(`${colorScheme}, ${name}: ${what}`);
  }
  await context.close();
}
await browser.close();
for (const finding of findings) console.error(finding);
console.log(`${STOPS.length} stops in 2 colour schemes, ${findings.length} findings`);
process.exitCode = findings.length > 0 ? 1 : 0;
