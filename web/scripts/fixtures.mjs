// @ts-check
// Answers for pictures and trials of the UI without a server; numbers are made up but hang together. Each answer is checked against the
// type that the server's views have, and names are those of `millrace demo`, so that one journey walks both.

import { TRIGGERS, windowList } from "./scheduleFixtures.mjs";
import { TRACKING_EXAMPLES, TRACKING_ROUTES } from "./trackingFixtures.mjs";
import { curves, runGroups, runPage, runsOf, SWEEP } from "./trackedRuns.mjs";

/** @import * as api from "../src/api/types.gen" */

const T0 = Date.now() - 300_000;
/** @param {number} seconds */
const at = (seconds) => new Date(T0 + seconds * 1000).toISOString();
/** @param {number} n */
const hex = (n) => n.toString(16).padStart(2, "0").repeat(16);
const RUN = hex(161);
let seed = 7;
const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;

/** @type {[id: string, kind: string, needs: string[], from: number, to: number][]} */
const STEPS = [
  ["flights", "copy", [], 0, 3.2],
  ["weather", "copy", [], 0, 1.1],
  ["planes", "copy", [], 0, 0.4],
  ["airports", "copy", [], 0, 0.3],
  ["features", "flow", ["flights", "weather", "planes", "airports"], 3.3, 5.1],
  ["training", "sql", ["features"], 5.2, 6.8],
  ["split", "split", ["training"], 6.9, 7.6],
  ["boosting", "train", ["split"], 7.7, 14.2],
  ["forest", "python", ["split"], 7.7, 18.9],
  ["boosting_quality", "evaluate", ["boosting", "split"], 14.3, 15.4],
  ["forest_quality", "evaluate", ["forest", "split"], 19.0, 20.3],
  ["best", "set", ["boosting", "forest", "boosting_quality", "forest_quality"], 20.3, 20.31],
  ["register", "register", ["best"], 20.4, 20.6],
  ["deploy", "deploy", ["register"], 20.7, 21.0],
  ["score", "score", ["register", "split"], 20.7, 21.9],
  ["drift", "monitor", ["score", "split"], 22.0, 23.1],
];

/** @param {string} name @param {number} version @param {number} rows */
const table = (name, version, rows) => ({
  asset: "table",
  name,
  version,
  uri: `file:///w/.millrace/storage/datasets/${name}`,
  digest: "blake3:00",
  rows,
  size_bytes: rows * 31,
});
const METRICS = { auc: 0.7412, accuracy: 0.8123, log_loss: 0.4319, f1: 0.412, rows: 53764 };
const REPORT_ASSET = { asset: "report", uri: "file:///w/.millrace/runs/a1/report.json", digest: "blake3:2" };
const MODEL_ASSET = {
  asset: "model",
  name: "late_flights",
  version: 4,
  uri: "file:///w/.millrace/storage/models/late_flights/4",
  digest: "blake3:3",
  size_bytes: 418000,
};
/** @type {Record<string, api.JsonMap>} */
const OUTPUTS = {
  flights: { data: table("flights", 3, 336776) },
  features: { data: table("flights_features", 3, 327346) },
  split: { train: table("flights_train", 3, 218212), test: table("flights_test", 3, 53764) },
  boosting: { model: MODEL_ASSET },
  boosting_quality: { metrics: METRICS, report: REPORT_ASSET },
  forest_quality: { metrics: METRICS, report: REPORT_ASSET },
  best: { model: MODEL_ASSET, metrics: METRICS },
  register: { version: "late_flights@4" },
};

/** @type {api.CostView} */
const NO_COST = {
  cpu_ms: null,
  cpu_user_ms: null,
  cpu_system_ms: null,
  peak_memory_bytes: null,
  read_bytes: null,
  written_bytes: null,
};
/** @type {api.CostView} */
const COST = {
  cpu_ms: 9800,
  cpu_user_ms: 9100,
  cpu_system_ms: 700,
  peak_memory_bytes: 312_000_000,
  read_bytes: 48_000_000,
  written_bytes: 2_400_000,
};

/** @param {string} runStatus @returns {api.StepView[]} */
const steps = (runStatus) =>
  STEPS.map(([id, kind, needs, from, to], index) => {
    const failed = runStatus === "failed";
    const running = runStatus === "running";
    const bad = failed && id === "forest";
    const status =
      running && index > 5
        ? index === 6
          ? "running"
          : "pending"
        : bad
          ? "failed"
          : failed && index > 9
            ? "skipped"
            : index < 4
              ? "cached"
              : "succeeded";
    /** @type {api.Problem | null} */
    const problem = bad
      ? {
          code: "command-failed",
          severity: "error",
          message: "`models/forest.py` ended with exit code 1",
          place: { file: "models/forest.py", line: 12, column: 3, length: 4 },
          notes: ["ValueError: Input X contains NaN"],
          hints: [`millrace logs ${hex(160)} forest`],
        }
      : null;
    const ran = status !== "skipped" && status !== "pending";
    return {
      id,
      kind,
      status,
      needs,
      finally: false,
      attempts: ran
        ? [
            {
              attempt: 1,
              status,
              started_at: at(from),
              ended_at: status === "running" ? null : at(to),
              problem,
              exit: kind === "python" ? (bad ? "exit code 1" : "exit code 0") : null,
              cost: kind === "python" ? COST : NO_COST,
            },
          ]
        : [],
      ready_at: ran ? at(Math.max(0, from - 0.4)) : null,
      started_at: ran ? at(from) : null,
      ended_at: ran && status !== "running" ? at(to) : null,
      progress: status === "running" ? { fraction: 0.42, rows: 137_500, bytes: null, message: "writing parts" } : null,
      inputs: needs.length ? { [needs[0] ?? ""]: `\${{ steps.${needs[0]}.data }}` } : {},
      outputs: ran && status !== "running" ? (OUTPUTS[id] ?? {}) : {},
      metrics: ran && kind === "evaluate" ? METRICS : {},
      rows: kind === "copy" ? 336776 : kind === "flow" ? 327346 : null,
      bytes: kind === "copy" ? 8123000 : null,
      cost: ran && kind === "python" ? COST : NO_COST,
      cached_from: status === "cached" ? hex(159) : null,
      why:
        status === "cached"
          ? ["its code, config and inputs are those of an earlier run"]
          : ["no earlier run had these inputs"],
      problem,
      tracking_run_id: kind === "train" || kind === "evaluate" || kind === "python" ? hex(17) : null,
      items: null,
      sub_run: null,
    };
  });

/** @param {number} n @param {string} status @returns {api.RunSummary} */
const summary = (n, status, secs = 23.1, ago = 0) => ({
  id: hex(n),
  number: n,
  pipeline: n % 5 === 0 ? "nightly" : "flights",
  status,
  trigger: n % 5 === 0 ? "cron" : n % 7 === 0 ? "rerun" : "manual",
  created_at: at(-ago),
  started_at: at(-ago + 0.1),
  ended_at: status === "running" ? null : at(-ago + secs),
  steps_total: 16,
  steps_done: status === "failed" ? 16 : status === "running" ? 6 : 16,
  steps_cached: 4,
  problem: status === "failed" ? { code: "step-failed", severity: "error", message: "the step `forest` failed" } : null,
  paused: false,
  parent: null,
  deadline_at: null,
  late: false,
});
const FINISHED = summary(161, "succeeded");
const RUNS = [
  summary(162, "running", 0, -290),
  FINISHED,
  summary(160, "failed", 19, 4000),
  ...Array.from({ length: 22 }, (_, i) =>
    summary(159 - i, i % 7 === 3 ? "failed" : i % 9 === 4 ? "cancelled" : "succeeded", 18 + i, 8000 + i * 3600),
  ),
];

const YAML = `# Which flights will arrive late?
pipeline: flights
description: Raw flights to a live endpoint
inputs:
  trees: 100
  algorithm: {type: string, default: gradient_boosting, enum: [gradient_boosting, logistic]}
steps:
  flights:
    copy: {from: raw/flights/*.csv.zst, to: "data:flights"}
  features:
    flow: flows/features.yaml
    inputs: {flights: "\${{ steps.flights.data }}"}
  training:
    sql: |
      select *, arr_delay > 15 as late -- bound, never pasted
      from features where month <= \${{ inputs.month }}
`;

const curveX = Array.from({ length: 41 }, (_, i) => i / 40);
const REPORT = {
  task: "classification",
  rows: 53764,
  classes: ["false", "true"],
  metrics: METRICS,
  roc: { fpr: curveX, tpr: curveX.map((x) => x ** 0.42) },
  pr: { recall: curveX, precision: curveX.map((x) => 0.9 - 0.65 * x ** 0.8) },
  calibration: {
    bins: curveX
      .filter((_, i) => i % 4 === 0)
      .map((x) => ({ predicted: x, observed: Math.min(1, x * 0.93 + 0.02), count: Math.round(9000 * (1 - x)) })),
  },
  confusion: {
    matrix: [
      [38012, 3205],
      [7544, 5003],
    ],
  },
  thresholds: curveX.map((t) => ({
    threshold: t,
    tp: Math.round(12000 * (1 - t) ** 1.4),
    fn: 12000 - Math.round(12000 * (1 - t) ** 1.4),
    fp: Math.round(48000 * (1 - t) ** 3),
    tn: 48000 - Math.round(48000 * (1 - t) ** 3),
  })),
  importance: [
    "dep_hour",
    "distance",
    "wind_speed",
    "carrier",
    "visib",
    "temp",
    "origin",
    "month",
    "precip",
    "seats",
  ].map((feature, i) => ({ feature, importance: 0.31 / (i + 1) })),
};

/** @type {[name: string, type: string][]} */
const COLUMNS = [
  ["year", "Int64"],
  ["month", "Int64"],
  ["carrier", "Utf8"],
  ["origin", "Utf8"],
  ["dest", "Utf8"],
  ["distance", "Float64"],
  ["dep_delay", "Float64"],
  ["arr_delay", "Float64"],
  ["late", "Boolean"],
  ["time_hour", "Timestamp(Microsecond, None)"],
];
/** @param {string} name @param {number} i @returns {api.Json} */
const cell = (name, i) => {
  /** @type {api.JsonMap} */
  const row = {
    year: 2013,
    month: 1 + (i % 12),
    carrier: ["UA", "AA", "B6", "DL"][i % 4] ?? null,
    origin: ["EWR", "JFK", "LGA"][i % 3] ?? null,
    dest: ["ORD", "ATL", "LAX"][i % 3] ?? null,
    distance: 200 + ((i * 97) % 2300),
    dep_delay: i % 11 === 0 ? null : ((i * 13) % 60) - 8.5,
    arr_delay: ((i * 29) % 90) - 20,
    late: i % 5 === 0,
    time_hour: at(i * 60),
  };
  return row[name] ?? null;
};
/** @type {api.TablePreview} */
const PREVIEW = {
  columns: COLUMNS.map(([name, type]) => ({ name, type, nullable: name === "dep_delay" })),
  rows: Array.from({ length: 100 }, (_, i) => COLUMNS.map(([name]) => cell(name, i))),
  truncated: true,
  elapsed_ms: 12,
};
/** @type {api.TableProfile} */
const PROFILE = {
  rows: 336776,
  columns: COLUMNS.map(([name, type], c) => {
    const num = /Int|Float|Time/.test(type);
    return {
      name,
      data_type: type,
      nulls: name === "dep_delay" ? 8255 : 0,
      distinct: num ? 900 + c : 4,
      min: num ? 1 : "AA",
      max: num ? 4983 : "WN",
      mean: num ? 1039.9 : null,
      stddev: num ? 733.2 : null,
      quantiles: num ? [184, 502, 872, 1389, 2475] : [],
      top: num
        ? []
        : [
            { value: "UA", count: 58665 },
            { value: "B6", count: 54635 },
            { value: "EV", count: 54173 },
            { value: "DL", count: 48110 },
          ],
      histogram: num
        ? Array.from({ length: 20 }, (_, b) => ({
            from: b * 50,
            to: b * 50 + 50,
            count: Math.round(9000 * Math.exp(-(((b - 4 - c) / 4) ** 2)) + random() * 400),
          }))
        : [],
    };
  }),
};
/** @param {string} name @param {number} version @param {number} rows @returns {api.DatasetSummary} */
const dataset = (name, version, rows) => ({
  name,
  version,
  rows,
  size_bytes: rows * 31,
  columns: COLUMNS.length,
  created_at: at(3),
  producer: { run_id: RUN, step: "flights" },
  aliases: version === 3 ? ["checked"] : [],
});
const KEY = {
  flights: { kind: "dataset", name: "flights", version: 3 },
  features: { kind: "dataset", name: "flights_features", version: 3 },
  model: { kind: "model", name: "late_flights", version: 4 },
  endpoint: { kind: "endpoint", name: "late_flights", version: 0 },
  source: { kind: "source", name: "raw/flights/*.csv.zst", version: 0 },
  landing: { kind: "job", name: "airflow/nightly.land_flights", version: 0 },
  spark: { kind: "job", name: "spark://cluster/delays_by_carrier", version: 0 },
  delays: { kind: "outside", name: "s3://lake/marts/delays_by_carrier.parquet", version: 0 },
};
/** @param {number} hours @param {string} state @param {string | null} error @returns {api.OutsideRunView} */
const outsideRun = (hours, state, error) => ({
  id: `0193a5d2-0000-7000-8000-0000000000${String(hours).padStart(2, "0")}`,
  state,
  started_at: at(hours),
  ended_at: at(hours),
  error,
});
/** @param {string | undefined} name @returns {api.AssetKey} */
const key = (name) => KEY[/** @type {keyof typeof KEY} */ (name)];
const INPUTS = [
  ["weekday", "long"],
  ["hour", "long"],
  ["carrier", "string"],
  ["origin", "string"],
  ["distance", "double"],
  ["wind_speed", "double"],
  ["visibility", "double"],
  ["precipitation", "double"],
].map(([name, type]) => ({ name: String(name), type: String(type), required: name !== "wind_speed" }));
const SIGNATURE = {
  inputs: INPUTS,
  outputs: [
    { name: "prediction", type: "boolean", required: true },
    { name: "probability_false", type: "double", required: true },
    { name: "probability_true", type: "double", required: true },
  ],
};
/** @param {number} version @returns {api.ModelSummary} */
const model = (version) => ({
  name: "late_flights",
  version,
  aliases: version === 4 ? ["champion"] : [],
  stage: version === 4 ? "Production" : "None",
  metrics: { auc: 0.72 + version * 0.005, log_loss: 0.46 - version * 0.007 },
  created_at: at(20 - version),
  versions: 4,
});
/** @param {number} k */
const bins = (k) => Array.from({ length: 12 }, (_, i) => `${i * k}–${i * k + k}`);
/** @param {number[]} counts */
const shares = (counts) => counts.map((count) => count / counts.reduce((sum, each) => sum + each, 0));
/** @type {[column: string, kind: string, score: number, drifted: boolean][]} */
const COLUMN_DRIFT = [
  ["temperature", "numeric", 0.41, true],
  ["wind_speed", "numeric", 0.09, false],
  ["carrier", "categorical", 0.13, true],
  ["distance", "numeric", 0.03, false],
  ["visibility", "numeric", 0.07, false],
  ["origin", "categorical", 0.02, false],
];
const DRIFT = COLUMN_DRIFT.map(([column, kind, score, drifted]) => {
  const names = kind === "numeric" ? bins(5) : ["AA", "B6", "DL", "EV", "UA"];
  /** @param {number} middle */
  const bell = (middle) => shares(names.map((_, i) => Math.exp(-(((i - middle) / 3) ** 2))));
  return {
    column,
    kind,
    metric: "js",
    score,
    threshold: 0.1,
    p_value: drifted ? 0.0001 : 0.2,
    adjusted_p: drifted ? 0.0004 : 0.31,
    drifted,
    bins: names,
    reference: bell(4),
    current: bell(4 + score * 8),
    reason: null,
  };
});
/** @type {api.MonitorSummary} */
const MONITOR = {
  name: "late_flights",
  kind: "drift",
  drifted: true,
  drifted_columns: 2,
  columns: 6,
  last_run_at: at(9),
  reference: "flights_train@3",
  current: "late_flights_scored@1",
};
/** @type {api.EndpointSummary} */
const ENDPOINT = {
  name: "late_flights",
  status: "ready",
  url: "http://127.0.0.1:7878/endpoints/late_flights/score",
  deployments: [
    {
      name: "champion",
      model: "late_flights",
      version: 4,
      traffic: 90,
      status: "ready",
      requests: 1184,
      errors: 2,
      p50_ms: 0.21,
      p95_ms: 0.6,
      p99_ms: 1.4,
    },
    {
      name: "challenger",
      model: "late_flights",
      version: 3,
      traffic: 10,
      status: "ready",
      requests: 131,
      errors: 0,
      p50_ms: 0.24,
      p95_ms: 0.7,
      p99_ms: 1.9,
    },
  ],
  requests: 1315,
  errors: 2,
  p50_ms: 0.21,
  p99_ms: 1.4,
  updated_at: at(21),
};
/** @type {api.TrackedRun[]} */
const TRACKED = Array.from({ length: 60 }, (_, i) => ({
  id: hex(17 + i),
  name: ["boosting", "forest", "boosting_quality", "forest_quality"][i % 4] ?? "",
  experiment_id: "1",
  status: i === 3 ? "FAILED" : "FINISHED",
  start_time: at(7 - i * 300),
  end_time: at(14 - i * 300),
  params: { algorithm: "gradient_boosting", depth: String(3 + (i % 5)), learning_rate: "0.1", rounds: "100" },
  metrics: {
    auc: 0.74 - i * 0.002,
    loss: 0.41 + i * 0.002,
    test_auc: 0.73 - ((i * 7) % 5) * 0.013,
    "system/cpu_utilization_percentage": 61.2,
    "system/system_memory_usage_megabytes": 3121,
  },
  tags: { "mlflow.user": "ana", "mlflow.source.name": "flights" },
  parent_id: null,
  pipeline_run_id: RUN,
  step: "boosting",
  artifact_uri: `mlflow-artifacts:/${hex(17 + i)}`,
}));
const FEW_RUNS = runsOf(TRACKED);
const NO_RUNS = runsOf([]);

/** @param {number} total @returns {api.StorageUseView} */
const storage = (total) => ({
  runs: 9,
  document_bytes: Math.round(total * 0.001),
  point_bytes: Math.round(total * 0.009),
  artifact_bytes: Math.round(total * 0.95),
  files: 31,
  traces: 12,
  trace_bytes: Math.round(total * 0.04),
  total_bytes: total,
  measured_at: at(-2),
});
/** @type {api.TrafficPoint[]} */
const history = Array.from({ length: 40 }, (_, i) => ({
  at: at(i * 60),
  requests: Math.round(20 + 14 * Math.sin(i / 5) + random() * 8),
  errors: i === 22 ? 2 : 0,
  p50_ms: 0.2 + random() * 0.05,
  p99_ms: 1 + random() * 0.8,
}));
/** @param {string} name */
const pipeline = (name) => ({
  name,
  description: name === "flights" ? "Raw flights to a live endpoint" : "The same, each night",
  file: `pipelines/${name}.yaml`,
  /** @type {api.Problem[]} */
  problems: [],
  next_firing: name === "nightly" ? new Date(Date.now() + 7.2e6).toISOString() : null,
  recent_runs: RUNS.filter((run) => run.pipeline === name).slice(0, 20),
});
const LOG = `reading 273,114 rows\nfitting HistGradientBoostingClassifier\niteration 10, loss 0.4621\niteration 20, loss 0.4433\nTraceback (most recent call last):\n  File "train.py", line 12, in <module>\n    model.fit(x, y)\nValueError: Input X contains NaN\n`;

/** @type {api.LogLineView[]} */
const LOG_LINES = LOG.trimEnd()
  .split("\n")
  .map((text, number) => ({
    number,
    at_ms: Date.parse(at(number * 0.4)),
    stream: number > 3 ? "stderr" : "stdout",
    text: number === 0 ? `\u001b[32m${text}\u001b[0m` : text,
    cut: false,
  }));

/** The events of a log, as the server streams them. @param {string} pathname @param {URLSearchParams} query */
export function logEvents(pathname, query) {
  const [, what] = /^\/api\/runs\/\w+\/steps\/\w+\/log\/(events|search)$/.exec(pathname) ?? [];
  if (what === undefined) return undefined;
  const total = LOG_LINES.length;
  if (what === "events") {
    /** @type {api.LogView} */
    const view = { attempt: 1, lines: LOG_LINES, next: total, total, bytes: LOG.length, ended: true, dropped: [] };
    return `event: lines\nid: ${LOG.length}\ndata: ${JSON.stringify(view)}\n\nevent: end\ndata: {"total":${total},"dropped":[]}\n\n`;
  }
  const pattern = query.get("pattern") ?? "";
  // Brackets and dots stand for themselves unless they are meant.
  const text = query.get("regex") === "true" ? pattern : pattern.replace(/[^\w\s]/g, "\\$&");
  const wanted = new RegExp(text, "i");
  const found = LOG_LINES.filter((line) => wanted.test(line.text)).slice(0, Number(query.get("limit") ?? 200));
  const told = found.map((line) => `event: match\ndata: ${JSON.stringify({ line, before: [], after: [] })}\n\n`);
  /** @type {api.LogSearchView} */
  const done = { looked_at: total, total, matches: found.length, more: false };
  return `${told.join("")}event: done\ndata: ${JSON.stringify(done)}\n\n`;
}

/** How a step went. */
const brief = (/** @type {api.StepView} */ step, factor = 1) => ({
  kind: step.kind,
  status: step.status,
  attempts: step.attempts.length,
  queued_ms: 400,
  took_ms: 2100 * factor,
  rows: step.rows,
  cost: step.cost,
});

/** @type {[pattern: RegExp, make: (query: URLSearchParams, name: string) => unknown][]} */
const ROUTES = [
  [
    /^\/api\/session$/,
    /** @returns {api.SessionView} */ () => ({
      needs_login: true,
      name: "anna",
      is_admin: true,
      manages_accounts: true,
      signed_in: true,
    }),
  ],
  [
    /^\/api\/workspace$/,
    /** @returns {api.WorkspaceView} */ () => ({
      name: "flights-demo",
      timezone: "UTC",
      version: "0.1.0",
      path: "~/flights-demo",
    }),
  ],
  [
    /^\/api\/pipelines$/,
    /** @returns {api.PipelineSummary[]} */ () =>
      ["flights", "nightly"].map((name) => ({ ...pipeline(name), steps: 16 })),
  ],
  [/^\/api\/triggers$/, () => TRIGGERS],
  [/^\/api\/pipelines\/(\w+)\/windows$/, windowList],
  [
    /^\/api\/pipelines\/(\w+)$/,
    /** @returns {api.PipelineView} */ (_, name) => ({
      ...pipeline(name),
      yaml: YAML,
      inputs: [
        {
          name: "trees",
          type: "integer",
          default: 100,
          required: false,
          allowed: null,
          description: "trees of each model",
        },
        {
          name: "algorithm",
          type: "string",
          default: "gradient_boosting",
          required: false,
          allowed: ["gradient_boosting", "logistic"],
          description: null,
        },
      ],
      steps: STEPS.map(([id, kind, needs]) => ({ id, kind, needs, finally: false, condition: null, outputs: [] })),
      triggers:
        name === "nightly"
          ? [
              {
                name: "nightly",
                kind: "cron",
                description: "At 03:00.",
                next_firing: new Date(Date.now() + 7.2e6).toISOString(),
              },
            ]
          : [],
      command: `millrace run ${name}`,
    }),
  ],
  [/^\/api\/pipelines\/(\w+)\/runs$/, /** @returns {api.RunSummary} */ () => FINISHED],
  [
    /^\/api\/runs$/,
    /** @returns {api.RunPage} */ (query) => {
      const runs = RUNS.filter(
        (run) =>
          (!query.get("status") || run.status === query.get("status")) &&
          (!query.get("pipeline") || run.pipeline === query.get("pipeline")),
      );
      return { runs: runs.slice(0, Number(query.get("limit") ?? 50)), next: null, total: runs.length };
    },
  ],
  [
    /^\/api\/timeline$/,
    /** @returns {api.TimelineView} */ (query) => ({
      from_ms: Number(query.get("from")),
      to_ms: Number(query.get("to")),
      lanes: ["flights", "nightly"].map((pipeline) => ({
        pipeline,
        runs: RUNS.filter((run) => run.pipeline === pipeline).map((run) => ({
          id: run.id,
          number: run.number,
          status: run.status,
          trigger: run.trigger,
          created_ms: Date.parse(run.created_at),
          started_ms: Date.parse(run.started_at ?? run.created_at),
          ended_ms: run.ended_at === null ? null : Date.parse(run.ended_at),
        })),
      })),
      whole_since_ms: null,
    }),
  ],
  [
    /^\/api\/runs\/(\w+)\/compare\/\w+$/,
    /** @returns {api.RunComparison} */ (_, id) => {
      const a = RUNS.find((entry) => entry.id === id) ?? FINISHED;
      const b = RUNS[2] ?? FINISHED;
      return {
        a,
        b,
        cost_a: COST,
        cost_b: COST,
        inputs: [{ name: "trees", a: 100, b: 60 }],
        definition_a: YAML,
        definition_b: YAML.replace("trees", "leaves"),
        steps: steps("succeeded").map((step, index) => ({
          step: step.id,
          a: brief(step, 1 + index / 10),
          b: index === 3 ? null : brief(step),
          outputs: [],
          metrics: Object.entries(step.metrics).map(([name, a]) => ({ name, a, b: a * 0.9 })),
        })),
      };
    },
  ],
  [
    /^\/api\/runs\/(\w+)$/,
    /** @returns {api.RunView} */ (_, id) => {
      const run = RUNS.find((entry) => entry.id === id) ?? FINISHED;
      return {
        run,
        inputs: { trees: 100, algorithm: "gradient_boosting" },
        steps: steps(run.status),
        yaml: YAML,
        definition: YAML,
        cost: COST,
        critical_path: {
          steps: steps(run.status)
            .map((step) => step.id)
            .slice(-4),
          queued_ms: 1600,
          worked_ms: 21_300,
        },
        command: `millrace run ${run.pipeline}`,
        experiment_id: "1",
      };
    },
  ],
  [
    /^\/api\/runs\/\w+\/steps\/\w+\/log$/,
    /** @returns {api.LogView} */ (query) => {
      const from = Number(query.get("from") ?? 0);
      const lines = LOG_LINES.slice(from, from + Number(query.get("count") ?? 1000));
      const total = LOG_LINES.length;
      return { attempt: 1, lines, next: from + lines.length, total, bytes: LOG.length, ended: true, dropped: [] };
    },
  ],
  [
    /^\/api\/runs\/\w+\/steps\/\w+\/outputs\/(\w+)$/,
    (_, name) => (name === "report" ? REPORT : name === "metrics" ? METRICS : PREVIEW),
  ],
  [
    /^\/api\/experiments$/,
    /** @returns {api.ExperimentSummary[]} */ () => [
      { id: "1", name: "flights", runs: TRACKED.length, last_run_at: at(7) },
      { id: "3", name: "sweep", runs: SWEEP.count, last_run_at: at(-300) },
      { id: "4", name: "empty", runs: 0, last_run_at: null },
      { id: "2", name: "notebooks", runs: 4, last_run_at: at(-90000) },
    ],
  ],
  [
    /^\/api\/experiments\/([\w*]+)\/runs$/,
    (query, name) => {
      if (query.get("deleted")) {
        const runs = name === "1" ? TRACKED.slice(0, 2) : [];
        return { runs, next: null, total: runs.length, metric_keys: [], param_keys: [] };
      }
      return runPage(name === "3" ? SWEEP : name === "4" ? NO_RUNS : FEW_RUNS, query);
    },
  ],
  [
    /^\/api\/storage-use$/,
    /** @returns {api.StorageUseList} */ () => ({
      experiments: [
        { id: "3", name: "sweep", deleted: false, deleted_at: null, storage: storage(412_000_000) },
        { id: "1", name: "flights", deleted: false, deleted_at: null, storage: storage(9_300_000) },
        { id: "5", name: "old churn", deleted: true, deleted_at: at(-4000), storage: storage(2_100_000_000) },
      ],
      waiting_folders: 0,
      failing_folders: 0,
    }),
  ],
  [
    /^\/api\/experiments\/(\w+)\/lifecycle$/,
    /** @returns {api.ExperimentLifecycle} */ (_, id) => ({
      id: id ?? "1",
      name: id === "4" ? "empty" : "flights",
      deleted: id === "4",
      deleted_at: id === "4" ? at(-4000) : null,
      runs: 9,
      models: 3,
      storage: storage(9_300_000),
    }),
  ],
  [/^\/api\/inbox$/, /** @returns {api.InboxPage} */ () => ({ events: [], counts: [], next: null })],
  [
    /^\/api\/approvals$/,
    /** @returns {api.ApprovalPage} */ () => ({ approvals: [], promotions: [], waiting: 0, next: null }),
  ],
  [
    /^\/api\/experiments\/\w+\/retention$/,
    /** @returns {api.RetentionView} */ () => ({
      own: {
        delete_after_days: 90,
        keep_best: { count: 3, metric: "auc", smallest: false },
        keep_newest: 10,
        keep_tagged: ["paper"],
        purge_after_days: 30,
      },
      default: null,
    }),
  ],
  [
    /^\/api\/experiments\/\w+\/retention\/plan$/,
    /** @returns {api.RetentionPlanView} */ () => ({
      deletes: 2,
      delete: TRACKED.slice(0, 2).map(({ id, name }) => ({ id, name })),
      purges: 1,
      purges_models: 0,
      purges_experiment: false,
      kept: 4,
      referenced: 1,
      more: false,
    }),
  ],
  [
    /^\/api\/(tracked-runs|experiments\/\w+)\/purge$/,
    /** @returns {api.PurgeOutcome} */ () => ({
      dry_run: true,
      runs: 2,
      models: 1,
      traces: 0,
      bytes: 4_210_000,
      kept: [],
      elsewhere: [],
    }),
  ],
  [
    /^\/api\/tracked-runs\/(\w+)\/lifecycle$/,
    /** @returns {api.RunLifecycle} */ (_, id) => ({ id: id ?? "", deleted: false, storage: storage(418_523) }),
  ],
  [/^\/api\/experiments\/([\w*]+)\/groups$/, (query, name) => runGroups(name === "3" ? SWEEP : FEW_RUNS, query)],
  [
    /^\/api\/tracked-runs\/(\w+)$/,
    /** @returns {api.TrackedRun | undefined} */ (_, id) => TRACKED.find((run) => run.id === id) ?? TRACKED[0],
  ],
  ...TRACKING_ROUTES,
  [/^\/api\/metrics$/, curves],
  [
    /^\/api\/datasets$/,
    /** @returns {api.DatasetSummary[]} */ () => [
      dataset("flights", 3, 336776),
      dataset("flights_features", 3, 327346),
      dataset("weather", 2, 26115),
      dataset("late_flights_scored", 1, 54370),
    ],
  ],
  [/^\/api\/datasets\/\w+\/sample$/, () => PREVIEW],
  [
    /^\/api\/datasets\/(\w+)$/,
    /** @returns {api.DatasetView} */ (_, name) => ({
      version: {
        ...dataset(name, 3, 336776),
        kind: "table",
        uri: `file:///w/${name}`,
        digest: "blake3:4f0e",
        schema: PREVIEW.columns,
        profile: PROFILE,
        inputs: [KEY.source],
        tags: { checked: "yes" },
      },
      versions: [3, 2, 1].map((v) => dataset(name, v, 336776 - v * 100)),
      used_by: [KEY.model],
      tags: { owner: "operations" },
      command: `millrace data show ${name}@3`,
    }),
  ],
  [
    /^\/api\/lineage$/,
    /** @returns {api.LineageView} */ () => ({
      nodes: Object.values(KEY),
      edges: [
        ["source", "flights"],
        ["flights", "features"],
        ["features", "model"],
        ["model", "endpoint"],
        ["landing", "source"],
        ["flights", "spark"],
        ["spark", "delays"],
      ].map(([from, to]) => ({ from: key(from), to: key(to), tie: "made", run_id: null, step: null })),
      run_names: {},
      cut: false,
    }),
  ],
  [
    /^\/api\/lineage\/job$/,
    /** @returns {api.OutsideJobView} */ () => ({
      job: {
        key: "spark://cluster/delays_by_carrier",
        namespace: "spark://cluster",
        name: "delays_by_carrier",
        producer: "https://github.com/OpenLineage/OpenLineage/tree/1.54.0/integration/spark",
        latest: outsideRun(1, "failed", "Job aborted due to stage failure: no space left on device"),
        updated_at: at(1),
      },
      runs: [
        outsideRun(1, "failed", "Job aborted due to stage failure: no space left on device"),
        outsideRun(25, "succeeded", null),
        outsideRun(49, "succeeded", null),
      ],
      uses: [
        { dataset: "millrace://flights/flights", asset: KEY.flights, writes: false, used_at: at(1) },
        { dataset: "postgres://crm:5432/crm.public.carriers", asset: null, writes: false, used_at: at(1) },
        { dataset: "s3://lake/marts/delays_by_carrier.parquet", asset: null, writes: true, used_at: at(25) },
      ],
      facets: {},
    }),
  ],
  [
    /^\/api\/lineage\/dataset$/,
    /** @returns {api.OutsideDatasetView} */ () => ({
      key: "s3://lake/marts/delays_by_carrier.parquet",
      namespace: "s3://lake",
      name: "marts/delays_by_carrier.parquet",
      columns: [
        { name: "carrier", type: "string" },
        { name: "mean_delay", type: "double" },
      ],
      users: [{ job: "spark://cluster/delays_by_carrier", writes: true, used_at: at(25) }],
      facets: {},
    }),
  ],
  [/^\/api\/sql$/, () => PREVIEW],
  [/^\/api\/models$/, /** @returns {api.ModelSummary[]} */ () => [model(4)]],
  [
    /^\/api\/models\/(\w+)$/,
    /** @returns {api.ModelView} */ () => ({
      description: "Whether a flight arrives more than 15 minutes late.",
      tags: { team: "operations" },
      version: {
        ...model(4),
        uri: "file:///w/.millrace/storage/models/late_flights/4",
        digest: "blake3:9d1c",
        size_bytes: 418000,
        signature: SIGNATURE,
        task: "classification",
        description: null,
        producer: { run_id: RUN, step: "register" },
        tags: { checked: "yes" },
        tracking_run_id: hex(17),
        run_link: null,
        inputs: [KEY.features],
        artifact_path: ".registry/late_flights/4",
        onnx: {
          ir_version: 9,
          opset: 18,
          producer: "millrace",
          nodes: 14,
          operators: { TreeEnsembleClassifier: 1, Imputer: 2, OneHotEncoder: 2, Concat: 1, Scaler: 1, Cast: 4 },
          parameters: 31200,
          inputs: [
            { name: "carrier", element: "string", shape: ["rows", "1"] },
            { name: "distance", element: "double", shape: ["rows", "1"] },
          ],
          outputs: [{ name: "probabilities", element: "float", shape: ["rows", "2"] }],
        },
        onnx_problem: null,
        input_example: { columns: ["carrier", "distance"], data: [["UA", 1400]] },
        metrics_by_dataset: [
          {
            dataset: "flights_features",
            version: 3,
            run_id: RUN,
            step: "quality",
            metrics: { auc: 0.741, log_loss: 0.432 },
          },
          { dataset: "weather", version: 2, run_id: RUN, step: "winter", metrics: { auc: 0.702, log_loss: 0.47 } },
        ],
        flavors: ["python_function", "onnx"],
      },
      versions: [4, 3, 2, 1].map((version) => model(version)),
      endpoints: ["late_flights"],
      command: "millrace models show late_flights@4",
    }),
  ],
  [
    /^\/api\/datasets\/\w+\/schema-diff$/,
    /** @returns {api.SchemaDiff} */ () => ({
      from: dataset("flights", 2, 336676),
      to: dataset("flights", 3, 336776),
      changes: [
        {
          column: "gust",
          change: "added",
          before: null,
          after: { name: "gust", type: "Float64", nullable: true },
          breaking: false,
        },
        {
          column: "distance",
          change: "type",
          before: { name: "distance", type: "Int64", nullable: false },
          after: { name: "distance", type: "Float64", nullable: false },
          breaking: true,
        },
      ],
    }),
  ],
  [
    /^\/api\/datasets\/\w+\/reads$/,
    /** @returns {api.DatasetRead[]} */ () => [
      { run_id: RUN, name: "flights", step: "features", context: "sql", at: at(3) },
      { run_id: hex(17), name: "notebook", step: null, context: "training", at: at(4) },
    ],
  ],
  [
    /^\/api\/models\/\w+\/card$/,
    /** @returns {api.ModelCardView} */ () => ({
      written:
        "# What it is for\n\nTells **operations** which flights will be late, two hours ahead.\n\n- not for pricing\n- not for crews\n",
      revision: 2,
      written_by: "ann",
      written_at: at(5),
      generated:
        "# late_flights@4\n\n| Fact | Value |\n|---|---|\n| Task | classification |\n| Size | 418000 bytes |\n\n## Data\n\n| Dataset | Use |\n|---|---|\n| flights\\_features@3 | trained on |\n",
    }),
  ],
  [
    /^\/api\/models\/\w+\/compare$/,
    /** @returns {api.ModelComparison} */ () => ({
      versions: [model(4), model(3)],
      rows: [
        { group: "metrics", name: "auc on flights_features", values: ["0.741", "0.735"], differs: true },
        { group: "params", name: "trees", values: ["200", "100"], differs: true },
        { group: "data", name: "trained on", values: ["flights_features@3", "flights_features@2"], differs: true },
      ],
    }),
  ],
  [
    /^\/api\/promotions$/,
    /** @returns {api.PromotionView[]} */ () => [
      {
        id: hex(31),
        model: "late_flights",
        version: 4,
        alias: "champion",
        digest: "blake3:9d1c",
        approvals: 2,
        approvers: ["role:ml_owner"],
        state: "pending",
        comment: "better on winter days",
        by: "ann",
        at: at(6),
        decided_at: null,
        replaced: null,
        votes: [{ by: "bob", approve: true, comment: "looked at the curves", at: at(5) }],
      },
    ],
  ],
  [/^\/api\/endpoints$/, /** @returns {api.EndpointSummary[]} */ () => [ENDPOINT]],
  [
    /^\/api\/endpoints\/\w+$/,
    /** @returns {api.EndpointView} */ () => ({
      endpoint: ENDPOINT,
      signature: SIGNATURE,
      example: {
        weekday: 2,
        hour: 18,
        carrier: "UA",
        origin: "EWR",
        distance: 1400,
        wind_speed: 12.6,
        visibility: 10,
        precipitation: 0,
      },
      history,
      yaml: "endpoint: late_flights\ndeployments:\n  champion: {model: late_flights@champion, traffic: 90}\n",
      command:
        "curl -s http://127.0.0.1:7878/endpoints/late_flights/score -H 'content-type: application/json' -d '{\"rows\": [{\"hour\": 18}]}'",
    }),
  ],
  [
    /^\/endpoints\/\w+\/score$/,
    () => ({
      predictions: [{ prediction: true, probabilities: { false: 0.287, true: 0.713 } }],
      model: "late_flights@4",
      deployment: "champion",
      prediction_ids: [`${hex(90)}-0`],
    }),
  ],
  [/^\/api\/monitors$/, /** @returns {api.MonitorSummary[]} */ () => [MONITOR]],
  [
    /^\/api\/monitors\/\w+$/,
    /** @returns {api.MonitorView} */ () => ({
      monitor: MONITOR,
      latest: {
        at: at(9),
        run_id: RUN,
        step: "drift",
        reference: "flights_train@3",
        current: "late_flights_scored@1",
        columns: DRIFT,
        drifted: true,
      },
      history: Array.from({ length: 12 }, (_, i) => ({
        at: at(i * 86400),
        scores: Object.fromEntries(DRIFT.map((column) => [column.column, column.score * (0.3 + i * 0.06)])),
        drifted: i > 6,
      })),
      yaml: null,
      command: "millrace run flights",
    }),
  ],
  [
    /^\/api\/alerts$/,
    /** @returns {api.AlertView[]} */ () => [
      {
        name: "late_flights_drift",
        state: "firing",
        expression: "drifted columns of late_flights > 0",
        severity: "2",
        since: at(9),
        value: 2,
        threshold: 0,
        channels: ["log", "webhook hooks.example.com"],
        labels: { team: "operations" },
        history: Array.from({ length: 12 }, (_, i) => ({
          at: at(i * 86400),
          state: i > 6 ? "firing" : i > 5 ? "pending" : "normal",
          value: i > 5 ? i - 5 : 0,
        })),
      },
    ],
  ],
  [
    /^\/api\/search$/,
    /** @returns {api.SearchHit[]} */ (query) =>
      [
        { kind: "pipeline", name: "flights", detail: "Raw flights to a live endpoint", path: "/pipelines/flights" },
        { kind: "dataset", name: "flights", detail: "336776 rows", path: "/data/flights" },
        { kind: "model", name: "late_flights", detail: "version 4", path: "/models/late_flights" },
        { kind: "endpoint", name: "late_flights", detail: "ready", path: "/endpoints/late_flights" },
        { kind: "monitor", name: "late_flights", detail: "drift", path: "/monitoring/late_flights" },
      ].filter((hit) => hit.name.includes(query.get("q") ?? "")),
  ],
];

export const EXAMPLES = { run: RUN, failedRun: hex(160), trackedRun: hex(17), ...TRACKING_EXAMPLES };

/** The answer for an address, or undefined. @param {string} path @param {URLSearchParams} query */
export function answer(path, query) {
  for (const [pattern, make] of ROUTES) {
    const match = pattern.exec(path);
    if (match) return make(query, match[1] ?? "");
  }
  return undefined;
}
