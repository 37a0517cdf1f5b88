// Walks MLflow's own pages, as a Millrace server serves them from an installed wheel: node e2e/mlflow.mjs BASE_URL FOLDER MADE
// MADE is the document that python/tests/mlflow_pages.py printed. Fails on a page whose content does not come, an error in a page, a
// request to another host, or a refused request that ABSENT does not name. Pictures go to FOLDER.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { launch } from "./browser.mjs";

const [address, folder, told] = process.argv.slice(2);
const { origin, host } = new URL(address);
const made = JSON.parse(told);
const [run] = made.runs;
const base = `${origin}/mlflow/`;

// What the pages ask for, are told that there is no such thing, and do without.
const ABSENT = [
  // A server without accounts has nobody signed in; MLflow's answers the same.
  "GET /mlflow/ajax-api/2.0/mlflow/users/current",
  // MLflow's assistant is a language model of its own, and Millrace has none.
  "GET /mlflow/ajax-api/3.0/mlflow/assistant/config",
  "GET /mlflow/ajax-api/3.0/mlflow/assistant/providers",
  // Counts of traces over time, for the bars above their table, which are not shown then.
  "POST /mlflow/ajax-api/3.0/mlflow/traces/metrics",
];

const text = (words) => (page) => page.getByText(words);
const STOPS = [
  { name: "home", path: "", come: [text("Recent Experiments")] },
  { name: "experiments", path: "#/experiments", come: [text("flight-delays")] },
  {
    name: "runs",
    path: `#/experiments/${made.experiment}/runs`,
    come: [text("rate-0"), text("rate-2"), text("flights")],
  },
  {
    name: "runs-charts",
    path: `#/experiments/${made.experiment}/runs?compareRunsMode=CHART`,
    come: [text("loss"), (page) => page.locator(".js-plotly-plot .trace, .js-plotly-plot svg")],
  },
  { name: "run", path: `#/experiments/${made.experiment}/runs/${run}`, come: [text("lbfgs"), text("late-flights")] },
  {
    name: "run-charts",
    path: `#/experiments/${made.experiment}/runs/${run}/model-metrics`,
    come: [(page) => page.locator(".js-plotly-plot .scatterlayer .trace")],
  },
  {
    name: "run-artifacts",
    path: `#/experiments/${made.experiment}/runs/${run}/artifacts/config.json`,
    come: [text("square.png"), text("on time")],
  },
  {
    name: "run-picture",
    path: `#/experiments/${made.experiment}/runs/${run}/artifacts/square.png`,
    come: [(page) => page.locator(".js-plotly-plot image, .image-outer-container img, img[src^='blob:']")],
  },
  {
    name: "run-report",
    path: `#/experiments/${made.experiment}/runs/${run}/artifacts/report.html`,
    come: [(page) => page.frameLocator("iframe").getByText("A report")],
  },
  {
    name: "run-table",
    path: `#/experiments/${made.experiment}/runs/${run}/artifacts/table.json`,
    come: [text("question")],
  },
  {
    name: "compare",
    path: `#/compare-runs?runs=${encodeURIComponent(JSON.stringify(made.runs))}&experiments=${encodeURIComponent(JSON.stringify([made.experiment]))}`,
    come: [text("Comparing 3 Runs")],
  },
  { name: "logged-models", path: `#/experiments/${made.experiment}/models`, come: [text("late-flights")] },
  {
    name: "logged-model",
    path: `#/experiments/${made.experiment}/models/${made.logged}`,
    come: [text(made.logged), text("late-flights")],
  },
  {
    name: "logged-model-artifacts",
    path: `#/experiments/${made.experiment}/models/${made.logged}/artifacts`,
    come: [text("MLmodel")],
  },
  { name: "models", path: "#/models", come: [text("late-flights")] },
  { name: "model", path: `#/models/${made.model}`, come: [text("champion")] },
  { name: "version", path: `#/models/${made.model}/versions/2`, come: [text("Good enough."), text("Inputs (2)")] },
  { name: "traces", path: `#/experiments/${made.experiment}/traces`, come: [text("fog"), text("snow")] },
  {
    name: "trace",
    path: `#/experiments/${made.experiment}/traces?selectedEvaluationId=${made.trace}`,
    come: [text("retrieve")],
  },
  { name: "prompts", path: "#/prompts", come: [text("apology")] },
];

const findings = [];
let at = "start";
const report = (what) => findings.push(`${at}: ${what}`);
await mkdir(folder, { recursive: true });
const browser = await launch();
const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, reducedMotion: "reduce" });
const page = await context.newPage();
page.setDefaultTimeout(15_000);
page.on("request", (request) => {
  const url = new URL(request.url());
  if (url.protocol.startsWith("http") && url.host !== host) report(`request to ${url.host}`);
});
page.on("pageerror", (error) => report(`error in the page: ${error.message}`));
page.on("response", (response) => {
  const path = new URL(response.url()).pathname;
  if (response.status() >= 400 && !ABSENT.includes(`${response.request().method()} ${path}`))
    report(`${response.status()} for ${response.request().method()} ${response.url()}`);
});
page.on("console", (message) => {
  // A refused request is reported above, with what was asked for.
  if (message.type() === "error" && /Content Security Policy/.test(message.text()))
    report(`console: ${message.text()}`);
});

for (const { name, path, come } of STOPS) {
  at = name;
  try {
    // Otherwise only the address behind `#` would change, and the page decide what to load anew.
    await page.goto("about:blank");
    await page.goto(base + path);
    for (const wanted of come) await wanted(page).filter({ visible: true }).first().waitFor();
  } catch (error) {
    report(`not reached: ${error.message.split("\n")[0]} ${/waiting for .*/.exec(error.message)?.[0] ?? ""}`);
  }
  // Charts settle after their data has come.
  await page.waitForTimeout(300);
  await page.screenshot({ path: join(folder, `${name}.png`) });
}
await browser.close();
for (const finding of findings) console.error(finding);
console.log(`${STOPS.length} of MLflow's pages, ${findings.length} findings`);
process.exitCode = findings.length > 0 ? 1 : 0;
