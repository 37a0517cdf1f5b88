// The stops of the journey over a server that has run the bundled demo: what `millrace demo` leaves, found through the API.
const NAMES = {
  pipeline: "flights",
  dataset: "flights",
  model: "late_flights",
  endpoint: "late_flights",
  monitor: "late_flights",
};

/** Finds what has an id; throws with what is missing. */
export async function discover(read) {
  const [runs, experiments] = await Promise.all([
    read(`/api/runs?pipeline=${NAMES.pipeline}&status=succeeded&limit=1`),
    read("/api/experiments"),
  ]);
  const newest = given(runs.runs[0], `a finished run of the pipeline \`${NAMES.pipeline}\``);
  const { steps } = await read(`/api/runs/${newest.id}`);
  const experiment = given(
    experiments.find(({ runs: count }) => count > 0),
    "an experiment with runs",
  );
  const { runs: tracked } = await read(`/api/experiments/${experiment.id}/runs`);
  const logged = tracked.find(({ metrics }) => Object.keys(metrics).length > 0) ?? tracked[0];
  return {
    run: newest,
    python: given(
      steps.find(({ kind }) => kind === "python"),
      "a `python` step",
    ).id,
    evaluate: given(
      steps.find(({ kind }) => kind === "evaluate"),
      "an `evaluate` step",
    ).id,
    experiment,
    tracked: given(logged, "a tracked run"),
  };
}

function given(found, what) {
  if (!found) throw new Error(`the server does not have ${what}: has it run \`millrace demo\`?`);
  return found;
}

/** Puts a query in place of the one in the editor. */
async function typeSql(page, sql) {
  await page.getByRole("textbox", { name: /SQL/ }).click();
  await page.keyboard.press("Control+a");
  await page.keyboard.insertText(sql);
}

const flowNode = (id) => (page) => page.locator(`.react-flow__node[data-id="${id}"] button`);

const resultRows = (page) => page.getByRole("region", { name: "rows of the query" }).locator("tbody tr");

/**
 * Each stop has a name, the address to open, the first heading, and what must come before the picture is taken.
 * A stop without an address goes on from the one before.
 */
export function stops({ run, python, evaluate, experiment, tracked }) {
  const runTitle = new RegExp(`${run.pipeline}\\s*#${run.number}\\s*${run.id.slice(-10)}`);
  return [
    { name: "home", path: "/", come: [text("Start here"), link("/runs/"), link("/endpoints/"), link("/monitoring/")] },
    { name: "pipelines", path: "/pipelines", heading: "Pipelines", come: [link(`/pipelines/${NAMES.pipeline}`)] },
    { name: "pipeline", path: `/pipelines/${NAMES.pipeline}`, heading: NAMES.pipeline, come: [nodes] },
    { name: "pipeline-form", do: tab("Run"), heading: NAMES.pipeline, come: [button("Run"), text(/^millrace run /)] },
    { name: "pipeline-yaml", do: tab("YAML"), heading: NAMES.pipeline, come: [lines] },
    { name: "runs", path: "/runs", heading: "Runs", come: [link(`/runs/${run.id}`)] },
    {
      name: "runs-filtered",
      heading: "Runs",
      do: async (page) => {
        await page.getByRole("button", { name: "succeeded", exact: true }).click();
        const search = page.getByRole("searchbox", { name: "Search runs" });
        await search.fill(run.id.slice(0, 12));
        await search.press("Enter");
      },
      come: [(page) => page.getByRole("region", { name: "runs" }).locator("tbody tr"), link(`/runs/${run.id}`)],
    },
    {
      name: "runs-none",
      path: "/runs?text=no-such-run",
      heading: "Runs",
      come: [text("No run is like that."), button("Show all runs")],
    },
    { name: "timeline", path: "/timeline?span=2592000000", heading: "Timeline", come: [link(`/runs/${run.id}`)] },
    { name: "run", path: `/runs/${run.id}`, heading: runTitle, come: [nodes, text(/steps done/)] },
    {
      name: "run-log",
      heading: runTitle,
      do: async (page) => {
        await tab("Steps")(page);
        await page.getByRole("region", { name: "steps" }).getByRole("button", { name: python, exact: true }).click();
        await tab("Log")(page);
      },
      // A reused step shows the log of the run that did the work.
      come: [text(/\d+ lines?, .*B$/)],
    },
    {
      name: "run-log-search",
      heading: runTitle,
      do: async (page) => {
        const search = page.getByRole("searchbox", { name: "Search the log" });
        await search.fill("[a-z]");
        await page.getByRole("button", { name: "regular expression" }).click();
        await search.press("Enter");
        await page.getByRole("checkbox", { name: "times" }).check();
      },
      come: [text(/^1 of \d+ lines?$/), (page) => page.locator(".log-line.here .log-time")],
    },
    {
      name: "run-outputs",
      heading: runTitle,
      do: async (page) => {
        await page.getByRole("region", { name: "steps" }).getByRole("button", { name: evaluate, exact: true }).click();
        await tab("Inputs and outputs")(page);
      },
      come: [text("ROC"), picture],
    },
    {
      name: "run-timeline",
      do: tab("Timeline"),
      heading: runTitle,
      come: [(page) => page.locator(".gantt-row.critical")],
    },
    { name: "run-definition", do: tab("Definition"), heading: runTitle, come: [text(/^pipeline:/)] },
    { name: "run-compare", path: `/runs/${run.id}/compare`, heading: /^Compare/, come: [text(/no other run|^This$/)] },
    {
      name: "experiments",
      path: "/experiments",
      heading: "Experiments",
      come: [link("/experiments/"), text(/^Retention/)],
    },
    {
      name: "experiment",
      path: `/experiments/${experiment.id}`,
      heading: experiment.name,
      come: [link("/tracked/")],
    },
    {
      name: "experiment-sorted",
      heading: experiment.name,
      do: (page) => page.getByRole("region", { name: "tracked runs" }).getByRole("button").nth(3).click(),
      come: [(page) => page.locator("th[aria-sort]"), link("/tracked/")],
    },
    {
      name: "experiment-filtered",
      heading: experiment.name,
      do: async (page) => {
        const filter = page.getByRole("textbox", { name: "Filter" });
        await filter.fill("status = 'FINISHED'");
        await filter.press("Enter");
      },
      come: [text("match the filter"), link("/tracked/")],
    },
    {
      name: "experiment-columns",
      heading: experiment.name,
      do: (page) => page.getByRole("button", { name: "Columns", exact: true }).click(),
      come: [(page) => page.getByRole("complementary", { name: "Columns" }).getByRole("checkbox")],
    },
    {
      name: "experiment-compare",
      heading: experiment.name,
      do: async (page) => {
        await page.keyboard.press("Escape");
        const ticks = page.getByRole("checkbox", { name: /^select (?!the|none)/ });
        for (const run of [0, 1]) await ticks.nth(run).check();
        await tab("Differences")(page);
      },
      come: [text("Compare 2 selected runs"), (page) => page.getByRole("region", { name: "comparison" })],
    },
    {
      name: "experiment-parallel",
      heading: experiment.name,
      do: tab("Parallel coordinates"),
      come: [picture],
    },
    { name: "experiment-scatter", heading: experiment.name, do: tab("Scatter"), come: [picture] },
    { name: "tracked", path: `/tracked/${tracked.id}`, heading: tracked.name, come: [text("Parameters")] },
    {
      name: "tracked-files",
      do: tab("Artifacts"),
      heading: tracked.name,
      come: [text(/^mlflow-artifacts:/), (page) => page.locator(".file-view, .card .muted")],
    },
    { name: "tracked-traces", do: tab("Traces"), heading: tracked.name, come: [text("No trace here yet")] },
    { name: "traces", path: "/traces", heading: "Traces", come: [text("No trace here yet")] },
    { name: "prompts", path: "/prompts", heading: "Prompts", come: [text("No prompt registered yet.")] },
    { name: "evaluation", path: "/evaluation", heading: "Evaluation data", come: [text("No evaluation dataset yet.")] },
    { name: "webhooks", path: "/webhooks", heading: "Webhooks", come: [text("Nobody is told of anything yet.")] },
    { name: "data", path: "/data", heading: "Data", come: [link(`/data/${NAMES.dataset}`)] },
    {
      name: "sql",
      path: "/sql",
      heading: "SQL",
      do: async (page) => {
        await typeSql(page, "select origin, count(*) as flights from flights group by origin");
        await page.getByRole("button", { name: "Run", exact: true }).click();
      },
      come: [resultRows, text(/rows? in /), text(/^millrace sql /)],
    },
    {
      name: "sql-chart",
      heading: "SQL",
      do: tab("Chart"),
      come: [picture, text(/flights over origin/)],
    },
    {
      name: "sql-completion",
      // The list takes its keys from the editor, which names the chosen line (`aria-activedescendant`).
      expects: /scrollable-region-focusable: 1 times, first #cm-ac-/,
      heading: "SQL",
      do: async (page) => {
        await typeSql(page, "select f. from flights as f");
        for (let step = 0; step < " from flights as f".length; step += 1) await page.keyboard.press("ArrowLeft");
        await page.keyboard.press("Control+Space");
      },
      come: [(page) => page.locator(".cm-tooltip-autocomplete li", { hasText: "carrier" })],
    },
    {
      name: "sql-bound",
      path: "/sql?q=select+carrier%2C+avg(arr_delay)+as+delay+from+flights+where+origin+%3D+%241+group+by+carrier&params=%5B%22JFK%22%5D",
      heading: "SQL",
      come: [resultRows, (page) => page.locator('.field input[value="JFK"]')],
    },
    {
      name: "sql-wrong",
      expects: /400/,
      path: "/sql?q=select+carier+from+flights",
      heading: "SQL",
      come: [(page) => page.locator(".cm-lintRange-error"), text("query:1:8")],
    },
    {
      name: "sql-stopped",
      path: "/sql",
      heading: "SQL",
      do: async (page) => {
        await typeSql(
          page,
          "with recursive n as (select 1 as i union all select i + 1 from n where i < 100000000) select count(*) from n",
        );
        await page.keyboard.press("Escape");
        await page.getByRole("button", { name: "Run", exact: true }).click();
        await page.getByRole("button", { name: "Stop", exact: true }).click();
      },
      come: [text("The query was stopped before it had an answer.")],
    },
    {
      name: "sql-files",
      path: "/sql",
      heading: "SQL",
      do: async (page) => {
        const sources = page.getByRole("complementary", { name: "datasets and files" });
        await sources.getByText("Files", { exact: true }).click();
        await sources.getByText("raw", { exact: true }).click();
        await sources.getByRole("button", { name: /^airports.csv.zst/ }).click();
        await page.getByRole("button", { name: "History" }).click();
      },
      come: [
        resultRows,
        (page) => page.getByRole("region", { name: "history" }).getByRole("button", { name: /raw\/airports/ }),
      ],
    },
    { name: "flows", path: "/flows", heading: "Flows", come: [link("/flows/features")] },
    {
      name: "flow",
      path: "/flows/features",
      heading: "features",
      come: [flowNode("with_weather"), (page) => page.getByLabel("Table of flights while it is edited")],
    },
    {
      name: "flow-node",
      path: "/flows/features?node=timed",
      heading: "features",
      come: [
        (page) => page.getByRole("region", { name: "rows of timed" }).locator("tbody tr"),
        (page) => page.getByRole("combobox", { name: "late of derive" }),
      ],
    },
    {
      name: "flow-keys",
      heading: "features",
      do: async (page) => {
        await flowNode("timed")(page).focus();
        await page.keyboard.press(page.viewportSize().width < 500 ? "ArrowUp" : "ArrowLeft");
      },
      come: [(page) => page.getByRole("region", { name: "rows of arrived" }).locator("tbody tr")],
    },
    {
      name: "flow-list",
      path: "/flows/features?view=list&node=hourly",
      heading: "features",
      come: [(page) => page.getByRole("region", { name: "nodes" }).getByText("with_traffic, hourly")],
    },
    { name: "flow-yaml", path: "/flows/features?view=yaml", heading: "features", come: [lines] },
    { name: "dataset", path: `/data/${NAMES.dataset}`, heading: NAMES.dataset, come: [sampleRows] },
    { name: "dataset-profile", do: tab("Profile"), heading: NAMES.dataset, come: [text("Most common")] },
    {
      name: "dataset-labels",
      do: tab("Aliases and tags"),
      heading: NAMES.dataset,
      come: [text(/^Aliases of version/), button("Point here")],
    },
    { name: "dataset-lineage", do: tab("Lineage"), heading: NAMES.dataset, come: [nodes] },
    { name: "models", path: "/models", heading: "Models", come: [link(`/models/${NAMES.model}`)] },
    { name: "model", path: `/models/${NAMES.model}`, heading: NAMES.model, come: [text("Takes"), text("champion")] },
    {
      name: "model-files",
      path: `/models/${NAMES.model}?tab=files&file=MLmodel`,
      heading: NAMES.model,
      come: [lines, (page) => page.getByRole("treeitem", { name: "MLmodel" })],
    },
    { name: "endpoints", path: "/endpoints", heading: "Endpoints", come: [link(`/endpoints/${NAMES.endpoint}`)] },
    { name: "endpoint", path: `/endpoints/${NAMES.endpoint}`, heading: NAMES.endpoint, come: [text("Try it")] },
    {
      name: "endpoint-score",
      heading: NAMES.endpoint,
      do: (page) => page.getByRole("button", { name: "Score", exact: true }).click(),
      come: [text(/answered in/), (page) => page.locator(".figure")],
    },
    {
      name: "monitoring",
      path: "/monitoring",
      heading: "Monitoring",
      come: [link(`/monitoring/${NAMES.monitor}`), text("Alert rules")],
    },
    { name: "monitor", path: `/monitoring/${NAMES.monitor}`, heading: NAMES.monitor, come: [picture, text("Columns")] },
    {
      name: "palette",
      path: "/",
      do: async (page) => {
        await page.keyboard.press("/");
        await page.getByRole("combobox", { name: "Search everything" }).fill("late_fl");
      },
      come: [(page) => page.getByRole("option", { name: /late_flights.*model/ })],
    },
  ];
}

const text = (what) => (page) => page.locator("main").getByText(what);
const link = (prefix) => (page) => page.locator(`main a[href^="${prefix}"]`);
const button = (name) => (page) => page.getByRole("button", { name, exact: true });
const tab = (name) => (page) => page.getByRole("tab", { name, exact: true }).click();
const lines = (page) => page.locator(".cm-line");
/** A graph as a picture, or as the list that a narrow page begins with. */
const nodes = (page) => page.locator("main").locator(".react-flow__node, table button");
const picture = (page) => page.locator("figure svg, figure canvas");
const sampleRows = (page) => page.getByRole("region", { name: /^rows of/ }).locator("tbody tr");
