// What the journey looks at on each page: how it gets there and what must be there.

/** Waits for the first link in the main part whose address begins with `prefix` and follows it. */
export async function follow(page, prefix) {
  const link = page.locator(`main a[href^="${prefix}"]`).first();
  await link.waitFor();
  await link.click();
}

async function viaNav(page, name) {
  await page.locator("nav.nav").getByRole("link", { name, exact: true }).click();
  await page.getByRole("heading", { level: 1 }).waitFor();
}

const columnHead = (page, name) => page.getByRole("columnheader", { name: new RegExp(`^${name}\\b`) });
const rows = (page) => page.getByRole("region", { name: "tracked runs" }).locator("tbody tr:not([aria-hidden])");

export const STOPS = [
  {
    name: "home",
    go: async (page, base) => {
      await page.goto(base);
      await page.getByText("Start here").waitFor();
      await page.locator('main a[href^="/runs/"]').first().waitFor();
    },
  },
  {
    name: "run-graph",
    go: async (page) => {
      await page.getByRole("link", { name: "Open the run" }).click();
      await page.locator(".react-flow__node").first().waitFor();
    },
  },
  {
    name: "run-log",
    go: async (page) => {
      await page.locator(".react-flow__node button").first().click();
      await page.getByRole("tab", { name: "Log" }).click();
      await page
        .getByText(/\d+ lines?|wrote nothing/)
        .first()
        .waitFor();
    },
  },
  {
    name: "run-timeline",
    go: async (page) => {
      await page.getByRole("tab", { name: "Timeline" }).click();
      await page.locator(".gantt-row").first().waitFor();
    },
  },
  {
    name: "run-compare",
    go: async (page) => {
      await page.getByRole("link", { name: "Compare" }).click();
      await page.getByRole("region", { name: "steps of both runs" }).waitFor();
    },
    leave: (page) => page.goBack(),
  },
  {
    name: "run-evaluation",
    go: async (page) => {
      await page.getByRole("tab", { name: "Steps" }).click();
      await page
        .locator("tr", { hasText: /evaluate/ })
        .first()
        .getByRole("button")
        .first()
        .click();
      await page.getByRole("tab", { name: "Inputs and outputs" }).click();
      await page.getByText("ROC", { exact: true }).waitFor();
      await page.locator("figure svg").first().waitFor();
    },
  },
  {
    name: "pipeline",
    go: async (page) => {
      await viaNav(page, "Pipelines");
      await follow(page, "/pipelines/");
      await page.locator(".react-flow__node").first().waitFor();
    },
  },
  {
    name: "pipeline-yaml",
    go: async (page) => {
      await page.getByRole("tab", { name: "YAML" }).click();
      await page.locator(".cm-content").waitFor();
    },
  },
  {
    name: "experiment",
    go: async (page) => {
      await viaNav(page, "Experiments");
      await follow(page, "/experiments/");
      await page.getByRole("region", { name: "tracked runs" }).waitFor();
    },
  },
  {
    name: "experiment-columns",
    go: async (page) => {
      await page.getByRole("button", { name: "Columns", exact: true }).click();
      await page.getByRole("searchbox", { name: "Search columns" }).fill("rate");
      await page.getByRole("checkbox", { name: "params.learning_rate" }).uncheck();
      await columnHead(page, "learning_rate").waitFor({ state: "detached" });
      await page.getByRole("checkbox", { name: "params.learning_rate" }).check();
      await columnHead(page, "learning_rate").waitFor();
    },
    leave: (page) => page.keyboard.press("Escape"),
  },
  {
    name: "experiment-filtered",
    go: async (page) => {
      const filter = page.getByRole("textbox", { name: "Filter" });
      await filter.fill("metrics.auc > 0.7");
      await filter.press("Enter");
      await page.getByText("match the filter").waitFor();
      await columnHead(page, "auc").getByRole("button").click();
      await page.locator('th[aria-sort="descending"]').waitFor();
      await columnHead(page, "loss")
        .getByRole("button")
        .click({ modifiers: ["Shift"] });
      await page.getByText("▼").nth(1).waitFor();
    },
  },
  {
    name: "experiment-curves",
    go: async (page) => {
      for (const run of [0, 2]) await rows(page).nth(run).getByRole("checkbox").check();
      await page.getByRole("heading", { name: "Compare 2 selected runs" }).waitFor();
      await page.getByRole("combobox", { name: "grouped by" }).fill("depth");
      await page.locator("figure svg").first().waitFor();
    },
  },
  {
    name: "experiment-parallel",
    go: async (page) => {
      await page.getByRole("tab", { name: "Parallel coordinates" }).click();
      await page.locator("figure svg").first().waitFor();
    },
  },
  {
    name: "experiment-scatter",
    go: async (page) => {
      await page.getByRole("tab", { name: "Scatter" }).click();
      await page.locator("figure svg").first().waitFor();
    },
  },
  {
    name: "experiment-differences",
    go: async (page) => {
      await page.getByRole("tab", { name: "Differences" }).click();
      await page.getByRole("region", { name: "comparison" }).waitFor();
    },
  },
  {
    name: "experiment-exports",
    go: async (page) => {
      await page.getByRole("tab", { name: "Scatter" }).click();
      await page.locator("figure svg").first().waitFor();
      for (const kind of ["PNG", "SVG", "CSV"]) {
        await page.getByRole("button", { name: /^Export auc/ }).click();
        const [file] = await Promise.all([
          page.waitForEvent("download"),
          page.getByRole("menuitem", { name: `Save as ${kind}` }).click(),
        ]);
        const name = file.suggestedFilename();
        if (!name.endsWith(`.${kind.toLowerCase()}`)) throw new Error(`${kind} came as ${name}`);
      }
    },
  },
  {
    name: "tracked-run",
    go: async (page) => {
      await follow(page, "/tracked/");
      await page.getByRole("heading", { name: "Parameters" }).waitFor();
    },
  },
  {
    name: "tracked-curves",
    go: async (page) => {
      await page.getByRole("tab", { name: "Curves" }).click();
      await page.locator("figure").first().waitFor();
    },
  },
  {
    name: "tracked-files",
    go: async (page) => {
      await page.getByRole("tab", { name: "Artifacts" }).click();
      await page.getByText(/^mlflow-artifacts:/).waitFor();
    },
  },
  {
    name: "traces",
    go: async (page) => {
      await viaNav(page, "Traces");
      await page.getByRole("textbox", { name: "Filter" }).waitFor();
    },
  },
  {
    name: "prompts",
    go: (page) => viaNav(page, "Prompts"),
  },
  {
    name: "evaluation",
    go: (page) => viaNav(page, "Evaluation"),
  },
  {
    name: "webhooks",
    go: async (page) => {
      await viaNav(page, "Webhooks");
      await page.getByRole("button", { name: "New webhook" }).click();
      await page.getByRole("textbox", { name: "Address" }).waitFor();
    },
  },
  {
    name: "dataset",
    go: async (page) => {
      await viaNav(page, "Data");
      await follow(page, "/data/");
      await page.locator("th svg").first().waitFor();
    },
  },
  {
    name: "dataset-lineage",
    go: async (page) => {
      await page.getByRole("tab", { name: "Lineage" }).click();
      await page.locator(".react-flow__node").first().waitFor();
    },
  },
  {
    name: "model",
    go: async (page) => {
      await viaNav(page, "Models");
      await follow(page, "/models/");
      await page.getByRole("heading", { name: "Takes" }).waitFor();
    },
  },
  {
    name: "endpoint",
    go: async (page) => {
      await viaNav(page, "Endpoints");
      await follow(page, "/endpoints/");
      await page.getByRole("button", { name: "Score" }).click();
      await page.getByText(/answered in/).waitFor();
    },
  },
  {
    name: "monitoring",
    go: async (page) => {
      await viaNav(page, "Monitoring");
      await page.getByRole("heading", { name: "Alert rules" }).waitFor();
    },
  },
  {
    name: "monitor",
    go: async (page) => {
      await follow(page, "/monitoring/");
      await page.locator("figure svg").first().waitFor();
    },
  },
  {
    name: "timeline",
    go: async (page) => {
      await viaNav(page, "Timeline");
      await page.getByRole("button", { name: "30 days" }).click();
      await page.locator(".lane-run").first().waitFor();
    },
  },
  {
    name: "palette",
    go: async (page) => {
      await page.keyboard.press("/");
      await page.getByRole("option").first().waitFor();
    },
    leave: (page) => page.keyboard.press("Escape"),
  },
];
