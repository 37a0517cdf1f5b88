// Pictures of every page from made-up answers: node scripts/shots.mjs FOLDER [PAGE…]
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { launch } from "../e2e/browser.mjs";
import { EXAMPLES } from "./fixtures.mjs";
import { serve } from "./serve.mjs";

const PAGES = {
  home: "/",
  pipelines: "/pipelines",
  pipeline: "/pipelines/flights",
  "pipeline-run": "/pipelines/flights?tab=run",
  "pipeline-yaml": "/pipelines/flights?tab=yaml",
  triggers: "/triggers",
  windows: "/pipelines/nightly/windows",
  runs: "/runs",
  run: `/runs/${EXAMPLES.run}`,
  "run-timeline": `/runs/${EXAMPLES.run}?tab=timeline`,
  "run-failed": `/runs/${EXAMPLES.failedRun}?tab=steps`,
  experiments: "/experiments",
  experiment: `/experiments/1?runs=${EXAMPLES.trackedRun},12121212121212121212121212121212&smoothing=0.6`,
  "experiment-groups": "/experiments/3?group=params.depth&smoothing=0.6&x=relative&sort=-metrics.auc",
  "experiment-differences": `/experiments/1?runs=${EXAMPLES.trackedRun},12121212121212121212121212121212&view=differences`,
  "experiment-images": `/experiments/1?runs=${EXAMPLES.trackedRun},12121212121212121212121212121212&view=images&step=30`,
  "experiment-parallel": "/experiments/3?view=parallel&sort=-metrics.auc",
  "experiment-scatter":
    "/experiments/3?view=scatter&across=params.learning_rate&up=metrics.auc&shade=params.depth&logx=true&runs=5eed0000000000000000000000000003,5eed0000000000000000000000000007",
  "experiment-gathered": "/experiments/3?by=params.depth&sort=-metrics.auc",
  "experiment-wrong": "/experiments/3?filter=metrics.auc%20%3E%20%27high%27",
  "experiment-none": "/experiments/3?filter=metrics.auc%20%3E%202",
  "experiment-empty": "/experiments/4",
  tracked: `/tracked/${EXAMPLES.trackedRun}`,
  "tracked-curves": `/tracked/${EXAMPLES.trackedRun}?tab=curves`,
  "tracked-images": `/tracked/${EXAMPLES.trackedRun}?tab=images`,
  "tracked-system": `/tracked/${EXAMPLES.trackedRun}?tab=system`,
  "tracked-traces": `/tracked/${EXAMPLES.trackedRun}?tab=traces`,
  files: `/tracked/${EXAMPLES.trackedRun}?tab=artifacts`,
  "files-model": `/tracked/${EXAMPLES.trackedRun}?file=model`,
  "files-markdown": `/tracked/${EXAMPLES.trackedRun}?file=README.md`,
  "files-code": `/tracked/${EXAMPLES.trackedRun}?file=train.py`,
  "files-text": `/tracked/${EXAMPLES.trackedRun}?file=log.txt`,
  "files-csv": `/tracked/${EXAMPLES.trackedRun}?file=rows.csv`,
  "files-table": `/tracked/${EXAMPLES.trackedRun}?file=eval_table.json`,
  "files-html": `/tracked/${EXAMPLES.trackedRun}?file=report.html`,
  "files-image": `/tracked/${EXAMPLES.trackedRun}?file=late.svg`,
  "files-step": `/tracked/${EXAMPLES.trackedRun}?file=samples/sample_20.txt`,
  "files-parquet": `/tracked/${EXAMPLES.trackedRun}?file=many/part-77.parquet`,
  "files-large": `/tracked/${EXAMPLES.trackedRun}?file=weights.bin`,
  "logged-model": "/logged-models/m-1",
  "model-files": "/models/late_flights?tab=files&file=MLmodel",
  traces: "/traces",
  "traces-filtered": "/traces?filter=status%20%3D%20%27ERROR%27&sort=-execution_time_ms",
  trace: `/traces/${EXAMPLES.trace}?span=llm1`,
  "trace-error": `/traces/${EXAMPLES.trace}?span=tool&tab=events`,
  "trace-long": `/traces/${EXAMPLES.longTrace}?span=s20000`,
  prompts: "/prompts",
  prompt: "/prompts/flight-answer?version=3&against=2",
  webhooks: "/webhooks?webhook=w1",
  evaluation: "/evaluation",
  "evaluation-dataset": "/evaluation/d-1?record=dr-3",
  data: "/data",
  dataset: "/data/flights",
  "dataset-profile": "/data/flights?tab=profile",
  "dataset-lineage": "/data/flights?tab=lineage",
  "dataset-lineage-job": `/data/flights?tab=lineage&node=${encodeURIComponent("job:spark://cluster/delays_by_carrier@0")}`,
  "dataset-lineage-outside": `/data/flights?tab=lineage&node=${encodeURIComponent("outside:s3://lake/marts/delays_by_carrier.parquet@0")}`,
  "dataset-diff": "/data/flights?tab=schema&before=2",
  models: "/models",
  model: "/models/late_flights",
  "model-card": "/models/late_flights?tab=card",
  "model-compare": "/models/late_flights?tab=versions&compare=4,3",
  "model-promotions": "/models/late_flights?tab=promotions",
  endpoints: "/endpoints",
  endpoint: "/endpoints/late_flights",
  monitoring: "/monitoring",
  monitor: "/monitoring/late_flights",
  "sign-in": "/sign-in",
  missing: "/nothing/here",
};

const [folder = "shots", ...only] = process.argv.slice(2);
await mkdir(folder, { recursive: true });
const { base, close } = await serve();
const browser = await launch();
for (const colorScheme of ["light", "dark"]) {
  for (const width of [1440, 390]) {
    const page = await browser.newPage({ colorScheme, viewport: { width, height: 900 }, reducedMotion: "reduce" });
    page.on("pageerror", (error) => console.error(`${page.url()}: ${error.message}`));
    page.on("console", (message) => message.type() === "error" && console.error(`${page.url()}: ${message.text()}`));
    for (const [name, path] of Object.entries(PAGES)) {
      if (only.length > 0 && !only.includes(name)) continue;
      await page.goto(base + path);
      await page.waitForTimeout(900);
      await page.screenshot({ path: join(folder, `${name}-${colorScheme}-${width}.png`), fullPage: true });
      const wide = await page.evaluate(
        () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
      );
      if (wide > 0) console.error(`${name} at ${width}: ${wide} px too wide`);
    }
    await page.close();
  }
}
await browser.close();
close();
