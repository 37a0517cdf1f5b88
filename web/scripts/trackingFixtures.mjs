// @ts-check
// Made-up files, traces, prompts, webhooks and evaluation data, for pictures and trials of the UI without a server.
import { Buffer } from "node:buffer";

/** @import * as api from "../src/api/types.gen" */

const T0 = Date.now() - 300_000;
/** @param {number} seconds */
const at = (seconds) => new Date(T0 + seconds * 1000).toISOString();

/** A picture of a curve in a colour. @param {number} step */
const picture = (step) =>
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 160 120"><rect width="160" height="120" fill="hsl(${(step * 23) % 360} 55% 88%)"/><circle cx="${40 + ((step * 7) % 80)}" cy="60" r="${18 + ((step * 5) % 22)}" fill="hsl(${(step * 23) % 360} 60% 45%)"/></svg>`;

const MLMODEL = `artifact_path: model
flavors:
  onnx:
    data: model.onnx
    onnx_version: 1.17.0
  python_function:
    env: {conda: conda.yaml, virtualenv: python_env.yaml}
    loader_module: mlflow.onnx
    python_version: 3.11.9
model_uuid: 4f0e9a1c
signature:
  inputs: '[{"type": "long", "name": "hour", "required": true}]'
`;
const README = `# Late flights

Whether a flight arrives **more than 15 minutes** late.

| split | rows | AUC |
|---|---|---|
| train | 218,212 | 0.771 |
| test | 53,764 | 0.741 |

- trained on \`flights_train@3\`
- see [the data](https://example.org/flights)

\`\`\`python
model = mlflow.pyfunc.load_model("models:/late_flights@champion")
\`\`\`
`;
const TRAIN = `"""Trains the forest."""
import mlflow
from sklearn.ensemble import RandomForestClassifier

DEPTH = 7  # deeper ones learn the noise

@mlflow.trace
def train(rows, labels):
    model = RandomForestClassifier(n_estimators=100, max_depth=DEPTH)
    return model.fit(rows, labels)
`;
const REPORT = `<!doctype html><title>Report</title><style>body{font:15px system-ui;padding:24px}</style><h1>Report</h1><p>Rows by carrier.</p><script>document.body.append("drawn by its script")</script>`;
const CSV = [
  "carrier,origin,hour,late",
  ...Array.from({ length: 4000 }, (_, i) => `${["UA", "AA", "B6"][i % 3]},"EWR, NJ",${i % 24},${i % 5 === 0}`),
].join("\n");
const TABLE = JSON.stringify({
  columns: ["question", "answer", "score"],
  data: Array.from({ length: 300 }, (_, i) => [`question ${i}`, `answer ${i}`, (i % 7) / 7]),
});

const STEPS = [0, 10, 20, 30, 40, 50, 60, 70];
/** @type {Record<string, string | null>} what is in each file of a run; null is not sent */
const FILES = {
  "README.md": README,
  "train.py": TRAIN,
  "report.html": REPORT,
  "rows.csv": CSV,
  "eval_table.json": TABLE,
  "late.svg": picture(3),
  "log.txt": Array.from(
    { length: 9000 },
    (_, i) => `2026-03-01 06:00:${i} step ${i} loss ${(1 / (i + 1)).toFixed(6)}`,
  ).join("\n"),
  "model/MLmodel": MLMODEL,
  "model/model.onnx": null,
  "model/input_example.json": JSON.stringify({ columns: ["hour"], data: [[18]] }),
  "model/requirements.txt": "mlflow==3.17.2\nonnx==1.17.0\nonnxruntime==1.20.1\n",
  "model/conda.yaml": "channels: [conda-forge]\n",
  ...Object.fromEntries(STEPS.map((step) => [`samples/sample_${step}.txt`, `What the model says at step ${step}.\n`])),
  ...Object.fromEntries(
    STEPS.map((step) => [`images/predictions+step+${step}+timestamp+17000000000${step}+0a1b2c3d.svg`, picture(step)]),
  ),
  "clip.mp4": null,
  "weights.bin": null,
  ...Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`many/part-${i}.parquet`, null])),
};
/** @type {Record<string, number>} */
const SIZES = { "model/model.onnx": 417_000, "weights.bin": 2_140_000_000 };

/** @param {string} file */
const sizeOf = (file) => SIZES[file] ?? Buffer.byteLength(FILES[file] ?? "x".repeat(900));

/** What lies in a folder of a run, whose id is the path's first word. @param {string} path @returns {api.ArtifactFile[]} */
function folder(path) {
  const inside = path.replace(/^(\.registry\/\w+\/\d+|[^/]+)\/?/, "");
  const base = path.startsWith(".registry") ? `model/${inside}` : inside;
  const prefix = base === "" ? "" : `${base.replace(/\/$/, "")}/`;
  /** @type {Map<string, api.ArtifactFile>} */
  const found = new Map();
  for (const file of Object.keys(FILES).filter((name) => name.startsWith(prefix))) {
    const [name = "", ...deeper] = file.slice(prefix.length).split("/");
    found.set(name, { path: name, is_dir: deeper.length > 0, size_bytes: deeper.length > 0 ? null : sizeOf(file) });
  }
  return [...found.values()];
}

/** The content of a file of a run; undefined if there is none. @param {string} path */
export function fileContent(path) {
  const inside = path.startsWith(".registry")
    ? `model/${path.split("/").slice(3).join("/")}`
    : path.split("/").slice(1).join("/");
  return FILES[decodeURIComponent(inside)] ?? undefined;
}

/** @type {api.SpanSummary[]} */
const SPANS = [
  ["root", null, "answer", "AGENT", 0, 2841, 1630],
  ["plan", "root", "plan", "CHAIN", 12, 640, null],
  ["llm1", "plan", "gpt-4o-mini", "CHAT_MODEL", 20, 610, 510],
  ["find", "root", "search flights", "RETRIEVER", 660, 420, null],
  ["embed", "find", "embed question", "EMBEDDING", 668, 96, 24],
  ["query", "find", "vector index", "RETRIEVER", 770, 300, null],
  ["tool", "root", "weather", "TOOL", 1090, 380, null],
  ["llm2", "root", "gpt-4o-mini", "CHAT_MODEL", 1490, 1320, 1096],
].map(([id, parent_id, name, kind, start_ms, duration_ms, tokens]) => ({
  id: String(id),
  parent_id: parent_id === null ? null : String(parent_id),
  name: String(name),
  kind: String(kind),
  status: id === "tool" ? "ERROR" : "OK",
  start_ms: Number(start_ms),
  duration_ms: Number(duration_ms),
  tokens: tokens === null ? null : Number(tokens),
}));

/** 30,000 spans: a loop of an agent. @type {api.SpanSummary[]} */
const MANY = Array.from({ length: 30_000 }, (_, i) => ({
  id: `s${i}`,
  parent_id:
    i === 0
      ? null
      : i % 30 === 1
        ? "s0"
        : `s${i % 30 === 0 ? i - 29 : Math.floor((i - 1) / 30) * 30 + 1 + Math.floor(((i - 1) % 30) / 3)}`,
  name: i === 0 ? "agent" : i % 30 === 1 ? `turn ${Math.floor(i / 30)}` : (["think", "search", "read"][i % 3] ?? ""),
  kind: i === 0 ? "AGENT" : i % 30 === 1 ? "CHAIN" : i % 3 === 0 ? "CHAT_MODEL" : "TOOL",
  status: i % 4001 === 4000 ? "ERROR" : "OK",
  start_ms: i === 0 ? 0 : i * 4,
  duration_ms: i === 0 ? 120_000 : i % 30 === 1 ? 116 : 3.4,
  tokens: i % 3 === 0 ? 120 : null,
}));

/** @param {Partial<api.AssessmentView>} given @returns {api.AssessmentView} */
const assessment = (given) => ({
  id: "a-1",
  kind: "feedback",
  name: "correct",
  value: true,
  rationale: null,
  source: "HUMAN",
  source_id: "ana",
  span_id: null,
  valid: true,
  error: null,
  updated_at: at(-60),
  ...given,
});

/** @param {number} n @returns {api.TraceSummary} */
const trace = (n) => ({
  id: `tr-${n.toString(16).padStart(32, "0")}`,
  name: n === 1 ? "long agent" : (["answer", "summarise", "classify"][n % 3] ?? null),
  experiment_id: n % 4 === 0 ? "3" : "1",
  status: n % 9 === 4 ? "ERROR" : n === 0 ? "IN_PROGRESS" : "OK",
  started_at: at(-n * 37),
  duration_ms: n === 0 ? null : n === 1 ? 120_000 : 400 + ((n * 911) % 6000),
  request: `{"question": "Which flights from EWR were late on day ${1 + (n % 28)}?"}`,
  response: n % 9 === 4 ? null : `${3 + (n % 11)} flights, most of them in the evening.`,
  tokens: n % 5 === 0 ? null : { input: 800 + n, output: 120 + (n % 90), total: 920 + n + (n % 90) },
  spans: n === 1 ? 30_000 : 8,
  session: `chat-${Math.floor(n / 6)}`,
  user: ["ana", "ben", "chloe"][n % 3] ?? null,
  run_id: "11111111111111111111111111111111",
  tags: n % 3 === 0 ? { release: "2026-03" } : {},
  assessments:
    n % 4 === 0
      ? [
          assessment({}),
          assessment({
            id: "a-2",
            name: "groundedness",
            value: 0.82,
            source: "LLM_JUDGE",
            source_id: "gpt-4o",
            rationale: "Each flight stands in the table.",
          }),
        ]
      : [],
});
const TRACES = Array.from({ length: 420 }, (_, n) => trace(n));

/** @param {URLSearchParams} query @returns {api.TracePage} */
function tracePage(query) {
  const state = /status = '(\w+)'/.exec(query.get("filter") ?? "")?.[1];
  const session = /trace\.session` = '([^']+)'/.exec(query.get("filter") ?? "")?.[1];
  const experiment = query.get("experiment");
  const kept = TRACES.filter(
    (one) =>
      (!state || one.status === state) &&
      (!session || one.session === session) &&
      (!experiment || one.experiment_id === experiment),
  );
  if (query.get("sort") === "-execution_time_ms") kept.sort((a, b) => (b.duration_ms ?? 0) - (a.duration_ms ?? 0));
  const from = Number(query.get("after") ?? 0);
  const to = from + Number(query.get("limit") ?? 100);
  return { traces: kept.slice(from, to), next: to < kept.length ? String(to) : null };
}

/** @param {string} id @returns {api.SpanView} */
const spanView = (id) => {
  const span = [...SPANS, ...MANY].find((one) => one.id === id) ?? SPANS[0];
  const talk = [
    { role: "system", content: "You answer questions about flights in one sentence." },
    { role: "user", content: "Which flights from EWR were late on day 3?" },
  ];
  const model = span?.kind === "CHAT_MODEL";
  return {
    id,
    name: span?.name ?? "",
    kind: span?.kind ?? "",
    status: span?.status ?? "OK",
    message: span?.status === "ERROR" ? "the weather service did not answer within 5 s" : null,
    started_at: at(0),
    duration_ms: span?.duration_ms ?? null,
    inputs: model
      ? { model: "gpt-4o-mini", messages: talk }
      : { question: "Which flights from EWR were late on day 3?" },
    outputs: model
      ? { choices: [{ message: { role: "assistant", content: "Six flights, most of them in the evening." } }] }
      : span?.status === "ERROR"
        ? null
        : ["UA 1141", "UA 1714", "B6 725"],
    tokens: model ? { input: 480, output: 30, total: 510 } : null,
    attributes: {
      "mlflow.spanType": span?.kind ?? "",
      "gen_ai.request.temperature": 0.1,
      "server.address": "llm.internal",
    },
    events:
      span?.status === "ERROR"
        ? [
            {
              name: "exception",
              at_ms: 371.4,
              attributes: {
                "exception.type": "TimeoutError",
                "exception.message": "no answer within 5 s",
                "exception.stacktrace":
                  'Traceback (most recent call last):\n  File "agent.py", line 31, in weather\n    return call(place)\nTimeoutError: no answer within 5 s',
              },
            },
          ]
        : [],
  };
};

const TEMPLATES = [
  "Answer the question: {{question}}",
  "You know flights.\n\nAnswer the question in one sentence.\nQuestion: {{question}}",
  "You know flights and the weather.\n\nAnswer the question in one sentence.\nUse only these rows: {{rows}}\nQuestion: {{question}}",
];
/** @type {api.PromptSummary} */
const PROMPT = {
  name: "flight-answer",
  description: "Answers questions about flights.",
  version: 3,
  aliases: { production: 2, latest: 3 },
  tags: { team: "operations" },
  updated_at: at(-3600),
};
/** @type {api.PromptView} */
const PROMPT_VIEW = {
  prompt: PROMPT,
  versions: TEMPLATES.map((template, index) => ({
    version: index + 1,
    template,
    kind: "text",
    model_config: index === 2 ? { model: "gpt-4o-mini", temperature: 0.1 } : null,
    response_format: null,
    message: ["First try", "Shorter answers", "Only what the rows say"][index] ?? null,
    aliases: index === 1 ? ["production"] : index === 2 ? ["latest"] : [],
    tags: {},
    created_at: at(-86_400 * (3 - index)),
  })).toReversed(),
};

/** @type {api.WebhookList} */
const WEBHOOKS = {
  webhooks: [
    {
      id: "w1",
      name: "deployments",
      url: "https://hooks.example.com/models",
      description: null,
      active: true,
      signed: true,
      events: ["model_version.created", "model_version_alias.created"],
      created_at: at(-86_400),
    },
    {
      id: "w2",
      name: "chat",
      url: "https://chat.example.com/hook",
      description: null,
      active: false,
      signed: false,
      events: ["prompt_version.created"],
      created_at: at(-186_400),
    },
  ],
  known_events: [
    "registered_model.created",
    "model_version.created",
    "model_version_tag.set",
    "model_version_tag.deleted",
    "model_version_alias.created",
    "model_version_alias.deleted",
    "prompt.created",
    "prompt_version.created",
  ],
};
/** @type {api.DeliveryView[]} */
const DELIVERIES = [
  {
    id: "n3",
    state: "retrying",
    event: "model_version_alias.created",
    attempts: 2,
    at: at(420),
    error: "503 Service Unavailable",
    body: {
      entity: "model_version_alias",
      action: "created",
      data: { name: "late_flights", alias: "champion", version: "4" },
    },
  },
  {
    id: "n2",
    state: "delivered",
    event: "model_version.created",
    attempts: 1,
    at: at(-30),
    error: null,
    body: { entity: "model_version", action: "created", data: { name: "late_flights", version: "4" } },
  },
  {
    id: "n1",
    state: "dead",
    event: "model_version.created",
    attempts: 6,
    at: at(-7200),
    error: "connection refused",
    body: { entity: "model_version", action: "created", data: { name: "late_flights", version: "3" } },
  },
];

/** @type {api.EvaluationDatasetView} */
const EVALUATION = {
  id: "d-1",
  name: "flight questions",
  digest: "4f0e9a1c",
  records: 1200,
  experiments: ["1"],
  tags: { team: "operations" },
  created_by: "ana",
  created_at: at(-86_400),
  updated_at: at(-600),
};
/** @param {number} n @returns {api.EvaluationRecordView} */
const record = (n) => ({
  id: `dr-${n}`,
  inputs: { question: `Which flights were late on day ${n % 28}?`, month: n % 12 },
  outputs: n % 3 === 0 ? `${n % 9} flights` : null,
  expectations: { answer: `${n % 9} flights`, must_name: ["carrier"] },
  source: n % 2 === 0 ? "HUMAN" : "TRACE",
  trace_id: n % 2 === 0 ? null : (TRACES[4]?.id ?? null),
  tags: {},
  created_at: at(-n),
});

/** @type {[pattern: RegExp, make: (query: URLSearchParams, name: string) => unknown][]} */
export const TRACKING_ROUTES = [
  [/^\/api\/artifacts$/, (query) => folder(query.get("path") ?? "")],
  [
    /^\/api\/artifact-table$/,
    /** @returns {api.TablePreview} */ (query) => ({
      columns: [
        { name: "id", type: "Int64", nullable: false },
        { name: "carrier", type: "Utf8", nullable: true },
        { name: "delay", type: "Float64", nullable: true },
      ],
      rows: Array.from({ length: Number(query.get("limit")) }, (_, i) => [
        i,
        ["UA", "AA"][i % 2] ?? null,
        i % 7 ? i / 7 : null,
      ]),
      truncated: true,
      elapsed_ms: 3,
    }),
  ],
  [
    /^\/api\/artifact-model$/,
    /** @returns {api.ModelFolderView} */ () => ({
      flavors: ["onnx", "python_function"],
      signature: {
        inputs: [
          { name: "hour", type: "long", required: true },
          { name: "wind_speed", type: "double", required: false },
        ],
        outputs: [{ name: "prediction", type: "boolean", required: true }],
      },
      task: "classification",
      onnx: {
        ir_version: 9,
        opset: 18,
        producer: "millrace",
        nodes: 14,
        operators: {},
        parameters: 31_200,
        inputs: [{ name: "X", element: "float32", shape: ["N", "4"] }],
        outputs: [{ name: "Y", element: "float32", shape: ["N", "1"] }],
      },
    }),
  ],
  [/^\/api\/tracked-runs\/\w+\/models$/, /** @returns {api.LoggedModelView[]} */ () => [LOGGED_MODEL]],
  [/^\/api\/logged-models\/([\w-]+)$/, () => LOGGED_MODEL],
  [/^\/api\/traces$/, tracePage],
  [/^\/api\/traces\/([\w-]+)\/spans$/, (_, id) => (id === TRACES[1]?.id ? MANY : SPANS)],
  [/^\/api\/traces\/[\w-]+\/spans\/(\w+)$/, (_, id) => spanView(id)],
  [
    /^\/api\/traces\/([\w-]+)$/,
    /** @returns {api.TraceView} */ (_, id) => ({
      trace: TRACES.find((one) => one.id === id) ?? trace(4),
      metadata: { "mlflow.trace.session": "chat-0", "mlflow.source.name": "agent.py" },
      client_request_id: "req-8812",
      runs: ["11111111111111111111111111111111"],
      prompts: [{ name: "flight-answer", version: 2 }],
      command: `mlflow traces get --trace-id ${id}`,
    }),
  ],
  [/^\/api\/3\.0\/mlflow\/traces\/[\w-]+\/assessments/, () => ({ assessment: {} })],
  [/^\/api\/prompts$/, /** @returns {api.PromptPage} */ () => ({ prompts: [PROMPT], next: null })],
  [/^\/api\/prompts\/([\w-]+)$/, () => PROMPT_VIEW],
  [/^\/api\/webhooks$/, () => WEBHOOKS],
  [/^\/api\/webhooks\/\w+\/deliveries/, () => DELIVERIES],
  [
    /^\/api\/2\.0\/mlflow\/webhooks\/\w+\/test$/,
    () => ({ result: { success: true, response_status: 200, response_body: "ok" } }),
  ],
  [/^\/api\/2\.0\/mlflow\/(webhooks|registered-models)/, () => ({})],
  [/^\/api\/evaluation-datasets$/, () => [EVALUATION]],
  [
    /^\/api\/evaluation-datasets\/[\w-]+\/records$/,
    /** @returns {api.EvaluationRecordPage} */ (query) => {
      const from = Number(query.get("after") ?? 0);
      const to = from + Number(query.get("limit") ?? 100);
      return {
        records: Array.from({ length: Math.min(to, 1200) - from }, (_, i) => record(from + i)),
        next: to < 1200 ? String(to) : null,
      };
    },
  ],
  [/^\/api\/evaluation-datasets\/([\w-]+)$/, () => EVALUATION],
];

/** @type {api.LoggedModelView} */
const LOGGED_MODEL = {
  id: "m-1",
  name: "late-flights-forest",
  experiment_id: "1",
  status: "ready",
  model_type: "classifier",
  run_id: "11111111111111111111111111111111",
  artifact_uri: "mlflow-artifacts:/m-1",
  params: { depth: "7", trees: "100" },
  tags: { team: "operations" },
  metrics: [
    { name: "auc", value: 0.7412, step: 0, dataset: "flights_test", run_id: "11111111111111111111111111111111" },
    { name: "auc", value: 0.771, step: 0, dataset: "flights_train", run_id: "11111111111111111111111111111111" },
  ],
  created_at: at(-60),
};

export const TRACKING_EXAMPLES = { trace: TRACES[4]?.id ?? "", longTrace: TRACES[1]?.id ?? "" };
