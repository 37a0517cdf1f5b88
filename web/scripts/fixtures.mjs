// Answers for pictures and trials of the UI without a server; numbers are made up but hang together.
const T0 = Date.parse("2026-03-02T08:00:00Z");
const at = (seconds) => new Date(T0 + seconds * 1000).toISOString();
const hex = (n) => n.toString(16).padStart(2, "0").repeat(16);
const RUN = hex(161);
let seed = 7;
const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;

const STEPS = [
  ["copy_flights", "copy", [], 0, 3.2],
  ["copy_weather", "copy", [], 0, 1.1],
  ["clean", "flow", ["copy_flights", "copy_weather"], 3.3, 5.1],
  ["features", "sql", ["clean"], 5.2, 6.8],
  ["split", "split", ["features"], 6.9, 7.6],
  ["train_boosting", "train", ["split"], 7.7, 14.2],
  ["train_sklearn", "python", ["split"], 7.7, 18.9],
  ["evaluate_boosting", "evaluate", ["train_boosting", "split"], 14.3, 15.4],
  ["evaluate_sklearn", "evaluate", ["train_sklearn", "split"], 19.0, 20.3],
  ["register", "register", ["evaluate_boosting", "evaluate_sklearn"], 20.4, 20.6],
  ["deploy", "deploy", ["register"], 20.7, 21.0],
  ["score", "score", ["register"], 20.7, 21.9],
  ["drift", "monitor", ["split", "features"], 7.8, 9.1],
];

const table = (name, version, rows) => ({
  asset: "table",
  name,
  version,
  uri: `file:///w/.millrace/storage/datasets/${name}`,
  digest: "blake3:00",
  rows,
  size_bytes: rows * 31,
});
const OUTPUTS = {
  copy_flights: { data: table("flights", 3, 336776) },
  clean: { data: table("flights_clean", 3, 327346) },
  evaluate_boosting: {
    metrics: { asset: "metrics", uri: "file:///w/m.json", digest: "blake3:1" },
    report: { asset: "report", uri: "file:///w/r.json", digest: "blake3:2" },
  },
  register: { version: 4 },
  train_boosting: {
    model: {
      asset: "model",
      name: "late_flights",
      version: 4,
      uri: "file:///w/model",
      digest: "blake3:3",
      size_bytes: 418000,
    },
  },
};

const steps = (failed) =>
  STEPS.map(([id, kind, needs, from, to], index) => {
    const bad = failed && id === "train_sklearn";
    const status = bad ? "failed" : failed && index > 8 ? "skipped" : index < 3 ? "cached" : "succeeded";
    const problem = bad
      ? {
          code: "command-failed",
          severity: "error",
          message: "`train.py` ended with exit code 1",
          place: { file: "train.py", line: 12, column: 3, length: 4 },
          notes: ["ValueError: Input X contains NaN"],
          hints: [`millrace logs ${hex(160)} train_sklearn`],
        }
      : null;
    const ran = status !== "skipped";
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
              ended_at: at(to),
              problem,
              exit: kind === "python" ? (bad ? "exit code 1" : "exit code 0") : null,
              peak_memory_bytes: kind === "python" ? 312000000 : null,
              cpu_ms: kind === "python" ? 9800 : null,
            },
          ]
        : [],
      ready_at: ran ? at(Math.max(0, from - 0.4)) : null,
      started_at: ran ? at(from) : null,
      ended_at: ran ? at(to) : null,
      progress: null,
      inputs: needs.length ? { data: OUTPUTS.clean.data } : {},
      outputs: OUTPUTS[id] ?? {},
      metrics: kind === "evaluate" ? { auc: 0.7412, log_loss: 0.4319 } : {},
      rows: kind === "copy" ? 336776 : kind === "flow" ? 327346 : null,
      bytes: kind === "copy" ? 8123000 : null,
      cached_from: status === "cached" ? hex(159) : null,
      why:
        status === "cached"
          ? ["its code, config and inputs are those of an earlier run"]
          : ["no earlier run had these inputs"],
      problem,
      tracking_run_id: kind === "train" || kind === "evaluate" || kind === "python" ? hex(17) : null,
    };
  });

const summary = (n, status, secs = 21.9, ago = 0) => ({
  id: hex(n),
  pipeline: n % 5 === 0 ? "nightly" : "flights",
  status,
  trigger: n % 5 === 0 ? "cron" : "person",
  created_at: at(-ago),
  started_at: at(-ago + 0.1),
  ended_at: status === "running" ? null : at(-ago + secs),
  steps_total: 13,
  steps_done: status === "failed" ? 8 : status === "running" ? 5 : 13,
  steps_cached: 3,
  problem:
    status === "failed" ? { code: "step-failed", severity: "error", message: "the step `train_sklearn` failed" } : null,
});
const RUNS = [
  summary(162, "running", 0, 5),
  summary(161, "succeeded"),
  summary(160, "failed", 19, 4000),
  ...Array.from({ length: 22 }, (_, i) =>
    summary(159 - i, i % 7 === 3 ? "failed" : i % 9 === 4 ? "cancelled" : "succeeded", 18 + i, 8000 + i * 3600),
  ),
];

const YAML = `# Which flights will arrive late?
pipeline: flights
description: Raw flights to a live endpoint
inputs:
  month: {type: integer, default: 7, description: last month to train on}
  algorithm: {type: string, default: gradient_boosting, enum: [gradient_boosting, logistic]}
triggers:
  nightly: {cron: "0 3 * * *"}
steps:
  copy_flights:
    copy: {from: raw/flights.csv.gz, to: "data:flights"}
  clean:
    flow: flows/clean.yaml
    inputs: {flights: "\${{ steps.copy_flights.data }}"}
  features:
    sql: |
      select *, dep_delay > 15 as late -- bound, never pasted
      from flights where month <= \${{ inputs.month }}
`;

const curveX = Array.from({ length: 41 }, (_, i) => i / 40);
const REPORT = {
  task: "classification",
  classes: ["on time", "late"],
  metrics: { auc: 0.7412, accuracy: 0.8123, log_loss: 0.4319, f1: 0.412 },
  roc: curveX.map((x) => ({ fpr: x, tpr: x ** 0.42 })),
  pr: curveX.map((x) => ({ recall: x, precision: 0.9 - 0.65 * x ** 0.8 })),
  calibration: curveX
    .filter((_, i) => i % 4 === 0)
    .map((x) => ({ predicted: x, observed: Math.min(1, x * 0.93 + 0.02) })),
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

const COLUMNS = [
  ["year", "int64"],
  ["month", "int64"],
  ["carrier", "utf8"],
  ["origin", "utf8"],
  ["dest", "utf8"],
  ["distance", "float64"],
  ["dep_delay", "float64"],
  ["arr_delay", "float64"],
  ["late", "boolean"],
  ["time_hour", "timestamp"],
];
const cell = (name, i) =>
  ({
    year: 2013,
    month: 1 + (i % 12),
    carrier: ["UA", "AA", "B6", "DL"][i % 4],
    origin: ["EWR", "JFK", "LGA"][i % 3],
    dest: ["ORD", "ATL", "LAX"][i % 3],
    distance: 200 + ((i * 97) % 2300),
    dep_delay: i % 11 === 0 ? null : ((i * 13) % 60) - 8.5,
    arr_delay: ((i * 29) % 90) - 20,
    late: i % 5 === 0,
    time_hour: at(i * 60),
  })[name];
const PREVIEW = {
  columns: COLUMNS.map(([name, type]) => ({ name, type, nullable: name === "dep_delay" })),
  rows: Array.from({ length: 100 }, (_, i) => COLUMNS.map(([name]) => cell(name, i))),
  truncated: true,
  elapsed_ms: 12.4,
};
const PROFILE = {
  rows: 336776,
  columns: COLUMNS.map(([name, type], c) => {
    const num = /int|float|time/.test(type);
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
const dataset = (name, version, rows) => ({
  name,
  version,
  rows,
  size_bytes: rows * 31,
  columns: COLUMNS.length,
  created_at: at(3),
  producer: { run_id: RUN, step: "clean" },
});
const KEY = {
  flights: { kind: "dataset", name: "flights", version: 3 },
  clean: { kind: "dataset", name: "flights_clean", version: 3 },
  model: { kind: "model", name: "late_flights", version: 4 },
  endpoint: { kind: "endpoint", name: "late", version: 0 },
  source: { kind: "source", name: "raw/flights.csv.gz", version: 0 },
};
const INPUTS = [
  ["month", "long"],
  ["dep_hour", "long"],
  ["carrier", "string"],
  ["origin", "string"],
  ["distance", "double"],
  ["wind_speed", "double"],
  ["visib", "double"],
  ["precip", "double"],
].map(([name, type]) => ({ name, type, required: true }));
const SIGNATURE = {
  inputs: INPUTS,
  outputs: [
    { name: "prediction", type: "string", required: true },
    { name: "probability_late", type: "double", required: true },
  ],
};
const model = (version) => ({
  name: "late_flights",
  version,
  aliases: version === 4 ? ["champion"] : [],
  metrics: { auc: 0.72 + version * 0.005, log_loss: 0.46 - version * 0.007 },
  created_at: at(20 - version),
  versions: 4,
});
const bins = (k) => Array.from({ length: 12 }, (_, i) => `${i * k}–${i * k + k}`);
const DRIFT = [
  ["temp", "numeric", 0.41, true],
  ["wind_speed", "numeric", 0.09, false],
  ["carrier", "categorical", 0.13, true],
  ["distance", "numeric", 0.03, false],
  ["visib", "numeric", 0.07, false],
  ["origin", "categorical", 0.02, false],
].map(([column, kind, score, drifted], c) => ({
  column,
  kind,
  metric: "js",
  score,
  threshold: 0.1,
  p_value: drifted ? 0.0001 : 0.2,
  adjusted_p: drifted ? 0.0004 : 0.31,
  drifted,
  bins: kind === "numeric" ? bins(5) : ["AA", "B6", "DL", "EV", "UA"],
  reference: (kind === "numeric" ? bins(5) : [1, 2, 3, 4, 5]).map((_, i) =>
    Math.round(900 * Math.exp(-(((i - 4) / 3) ** 2))),
  ),
  current: (kind === "numeric" ? bins(5) : [1, 2, 3, 4, 5]).map((_, i) =>
    Math.round(800 * Math.exp(-(((i - 4 - score * 8) / 3) ** 2))),
  ),
  reason: null,
  c,
}));
const MONITOR = {
  name: "late_flights_inputs",
  kind: "drift",
  drifted: true,
  drifted_columns: 2,
  columns: 6,
  last_run_at: at(9),
  reference: "train@3",
  current: "autumn@1",
};
const ENDPOINT = {
  name: "late",
  status: "healthy",
  url: "/endpoints/late/score",
  deployments: [
    {
      name: "champion",
      model: "late_flights",
      version: 4,
      traffic: 90,
      status: "healthy",
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
      status: "healthy",
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
const TRACKED = Array.from({ length: 60 }, (_, i) => ({
  id: hex(17 + i),
  name: ["brisk-heron", "calm-otter", "wide-finch", "late-swift"][i % 4] + `-${i}`,
  experiment_id: "1",
  status: i === 3 ? "failed" : "finished",
  start_time: at(7 - i * 300),
  end_time: at(14 - i * 300),
  params: { algorithm: "gradient_boosting", depth: String(3 + (i % 5)), learning_rate: "0.1", rounds: "100" },
  metrics: { auc: 0.74 - i * 0.002, log_loss: 0.43 + i * 0.003, loss: 0.41 + i * 0.002 },
  tags: { "mlflow.user": "ana", "mlflow.source.name": "train" },
  parent_id: null,
  pipeline_run_id: RUN,
  step: "train_boosting",
}));
const history = Array.from({ length: 40 }, (_, i) => ({
  at: at(i * 60),
  requests: Math.round(20 + 14 * Math.sin(i / 5) + random() * 8),
  errors: i === 22 ? 2 : 0,
  p50_ms: 0.2 + random() * 0.05,
  p99_ms: 1 + random() * 0.8,
}));
const pipeline = (name) => ({
  name,
  description: name === "flights" ? "Raw flights to a live endpoint" : "The same, each night",
  file: `pipelines/${name}.yaml`,
  problems: [],
  next_firing: name === "nightly" ? new Date(Date.now() + 7.2e6).toISOString() : null,
  recent_runs: RUNS.filter((run) => run.pipeline === name).slice(0, 20),
});
const LOG = `reading 273,114 rows\nfitting HistGradientBoostingClassifier\niteration 10, loss 0.4621\niteration 20, loss 0.4433\nTraceback (most recent call last):\n  File "train.py", line 12, in <module>\n    model.fit(x, y)\nValueError: Input X contains NaN\n`;

const ROUTES = [
  [/^\/api\/workspace$/, () => ({ name: "flights-demo", timezone: "UTC", version: "0.1.0", path: "~/flights-demo" })],
  [/^\/api\/pipelines$/, () => ["flights", "nightly"].map((name) => ({ ...pipeline(name), steps: 13 }))],
  [
    /^\/api\/pipelines\/(\w+)$/,
    (_, name) => ({
      ...pipeline(name),
      yaml: YAML,
      inputs: [
        {
          name: "month",
          type: "integer",
          default: 7,
          required: false,
          allowed: null,
          description: "last month to train on",
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
      triggers: [
        { name: "nightly", cron: "0 3 * * *", timezone: null, next_firing: new Date(Date.now() + 7.2e6).toISOString() },
      ],
      command: `millrace run ${name}`,
    }),
  ],
  [/^\/api\/pipelines\/(\w+)\/runs$/, () => RUNS[1]],
  [
    /^\/api\/runs$/,
    (query) => {
      const runs = RUNS.filter(
        (run) =>
          (!query.get("status") || run.status === query.get("status")) &&
          (!query.get("pipeline") || run.pipeline === query.get("pipeline")),
      );
      return { runs: runs.slice(0, Number(query.get("limit") ?? 50)), next: null, total: runs.length };
    },
  ],
  [
    /^\/api\/runs\/(\w+)$/,
    (_, id) => {
      const run = RUNS.find((entry) => entry.id === id) ?? RUNS[1];
      return {
        run,
        inputs: { month: 7, algorithm: "gradient_boosting" },
        steps: steps(run.status === "failed"),
        yaml: YAML,
        command: `millrace run flights -p month=7`,
        experiment_id: "1",
      };
    },
  ],
  [
    /^\/api\/runs\/\w+\/steps\/\w+\/log$/,
    (query) => ({
      text: Number(query.get("offset")) === 0 ? LOG : "",
      offset: Number(query.get("offset")),
      next_offset: LOG.length,
      size: LOG.length,
      first_error: 100,
      ended: true,
    }),
  ],
  [
    /^\/api\/runs\/\w+\/steps\/\w+\/outputs\/(\w+)$/,
    (_, name) => (name === "report" ? REPORT : name === "metrics" ? REPORT.metrics : PREVIEW),
  ],
  [
    /^\/api\/experiments$/,
    () => [
      { id: "1", name: "flights", runs: 60, last_run_at: at(7) },
      { id: "2", name: "notebooks", runs: 4, last_run_at: at(-90000) },
    ],
  ],
  [
    /^\/api\/experiments\/\w+\/runs$/,
    () => ({
      runs: TRACKED,
      next: null,
      total: TRACKED.length,
      metric_keys: ["auc", "log_loss", "loss"],
      param_keys: ["algorithm", "depth", "learning_rate", "rounds"],
    }),
  ],
  [/^\/api\/tracked-runs\/\w+$/, () => TRACKED[0]],
  [
    /^\/api\/tracked-runs\/\w+\/artifacts$/,
    () => [
      { path: "model", is_dir: true, size_bytes: null },
      { path: "model/MLmodel", is_dir: false, size_bytes: 912 },
      { path: "model/model.onnx", is_dir: false, size_bytes: 417000 },
      { path: "importance.json", is_dir: false, size_bytes: 611 },
    ],
  ],
  [
    /^\/api\/metrics$/,
    (query) =>
      (query.get("runs") ?? "").split(",").flatMap((run, r) =>
        (query.get("keys") ?? "").split(",").map((key) => ({
          run_id: run,
          key,
          points: Array.from({ length: 100 }, (_, step) => ({
            step,
            at: at(step),
            value: 0.4 + r * 0.01 + 0.3 * Math.exp(-step / 20) + (random() - 0.5) * 0.02,
          })),
        })),
      ),
  ],
  [
    /^\/api\/datasets$/,
    () => [
      dataset("flights", 3, 336776),
      dataset("flights_clean", 3, 327346),
      dataset("weather", 2, 26115),
      dataset("scored", 1, 27004),
    ],
  ],
  [/^\/api\/datasets\/\w+\/sample$/, () => PREVIEW],
  [
    /^\/api\/datasets\/(\w+)$/,
    (_, name) => ({
      version: {
        ...dataset(name, 3, 336776),
        kind: "table",
        uri: `file:///w/${name}`,
        digest: "blake3:4f0e",
        schema: PREVIEW.columns,
        profile: PROFILE,
        inputs: [KEY.source],
      },
      versions: [3, 2, 1].map((v) => dataset(name, v, 336776 - v * 100)),
      used_by: [KEY.model],
      command: `millrace sql "select * from ${name} limit 20"`,
    }),
  ],
  [
    /^\/api\/lineage$/,
    () => ({
      nodes: Object.values(KEY),
      edges: [
        ["source", "flights"],
        ["flights", "clean"],
        ["clean", "model"],
        ["model", "endpoint"],
      ].map(([from, to]) => ({ from: KEY[from], to: KEY[to], run_id: RUN, step: null })),
    }),
  ],
  [/^\/api\/sql$/, () => PREVIEW],
  [/^\/api\/models$/, () => [model(4)]],
  [
    /^\/api\/models\/(\w+)$/,
    () => ({
      version: {
        ...model(4),
        uri: "file:///w/.millrace/storage/models/late_flights/4",
        digest: "blake3:9d1c",
        size_bytes: 418000,
        signature: SIGNATURE,
        task: "classification",
        description: null,
        producer: { run_id: RUN, step: "train_boosting" },
        tracking_run_id: hex(17),
        inputs: [KEY.clean],
        files: [
          { path: "MLmodel", is_dir: false, size_bytes: 912 },
          { path: "model.onnx", is_dir: false, size_bytes: 417000 },
        ],
        onnx: {
          ir_version: 9,
          opset: 18,
          producer: "millrace",
          nodes: 14,
          operators: { TreeEnsembleClassifier: 1, Imputer: 2, OneHotEncoder: 2, Concat: 1, Scaler: 1, Cast: 4 },
          parameters: 31200,
        },
        flavors: ["onnx"],
      },
      versions: [4, 3, 2, 1].map(model),
      endpoints: ["late"],
      command: "millrace explain register",
    }),
  ],
  [/^\/api\/endpoints$/, () => [ENDPOINT]],
  [
    /^\/api\/endpoints\/\w+$/,
    () => ({
      endpoint: ENDPOINT,
      signature: SIGNATURE,
      example: {
        month: 7,
        dep_hour: 18,
        carrier: "UA",
        origin: "EWR",
        distance: 1400,
        wind_speed: 12.6,
        visib: 10,
        precip: 0,
      },
      history,
      yaml: "endpoint: late\ndeployments:\n  champion: {model: late_flights@champion, traffic: 90}\n",
      command: "curl -s http://127.0.0.1:7878/endpoints/late/score -d @row.json",
    }),
  ],
  [
    /^\/endpoints\/\w+\/score$/,
    () => ({ predictions: [{ prediction: "late", probability_late: 0.713, "probability_on time": 0.287 }] }),
  ],
  [/^\/api\/monitors$/, () => [MONITOR]],
  [
    /^\/api\/monitors\/\w+$/,
    () => ({
      monitor: MONITOR,
      latest: {
        at: at(9),
        run_id: RUN,
        step: "drift",
        reference: "train@3",
        current: "autumn@1",
        columns: DRIFT,
        drifted: true,
      },
      history: Array.from({ length: 12 }, (_, i) => ({
        at: at(i * 86400),
        scores: Object.fromEntries(DRIFT.map((column) => [column.column, column.score * (0.3 + i * 0.06)])),
        drifted: i > 6,
      })),
      yaml: null,
      command: "millrace run flights --to drift",
    }),
  ],
  [
    /^\/api\/alerts$/,
    () => [
      {
        name: "inputs_drifted",
        state: "firing",
        expression: "max(drift_js) > 0.1",
        severity: "warning",
        since: at(9),
        value: 0.41,
        threshold: 0.1,
        channels: ["log", "webhook"],
        labels: {},
        history: Array.from({ length: 12 }, (_, i) => ({
          at: at(i * 86400),
          state: i > 6 ? "firing" : "ok",
          value: i * 0.04,
        })),
      },
    ],
  ],
  [
    /^\/api\/search$/,
    (query) =>
      [
        { kind: "dataset", name: "flights", detail: null, path: "/data/flights" },
        { kind: "model", name: "late_flights", detail: null, path: "/models/late_flights" },
      ].filter((hit) => hit.name.includes(query.get("q") ?? "")),
  ],
];

export const EXAMPLES = { run: RUN, failedRun: hex(160), trackedRun: hex(17) };

/** The answer for an address, or undefined. */
export function answer(path, query) {
  for (const [pattern, make] of ROUTES) {
    const match = pattern.exec(path);
    if (match) return make(query, match[1]);
  }
  return undefined;
}
