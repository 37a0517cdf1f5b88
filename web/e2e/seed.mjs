// Logs to a real server what its pages of files, traces, prompts, webhooks and evaluation data are tried with, as clients would.
import { Buffer } from "node:buffer";
import { deflateSync } from "node:zlib";

/** Seeds a server; resolves to the addresses of what was made. */
export async function seed(origin) {
  const call = async (method, path, body, headers = {}) => {
    const plain = typeof body === "string" || Buffer.isBuffer(body);
    const init = {
      method,
      headers: { "content-type": "application/json", ...headers },
      body: plain ? body : JSON.stringify(body),
    };
    const response = await fetch(origin + path, init);
    if (!response.ok) throw new Error(`${response.status} for ${method} ${path}: ${await response.text()}`);
    return response.json();
  };
  const mlflow = (call_, body) => call("POST", `/api/2.0/mlflow/${call_}`, body);
  const name = `pages ${Date.now()}`;
  const { experiment_id } = await mlflow("experiments/create", { name });
  const begin = async (run_name, depth) => {
    const { run } = await mlflow("runs/create", { experiment_id, run_name, start_time: Date.now() });
    const id = run.info.run_id;
    const metrics = Array.from({ length: 40 }, (_, step) => ({
      key: "loss",
      value: 1 / (step + depth),
      timestamp: Date.now() + step * 900,
      step,
    }));
    metrics.push({ key: "test_auc", value: 0.6 + depth / 50, timestamp: Date.now(), step: 0 });
    for (let step = 0; step < 20; step += 1)
      metrics.push({
        key: "system/cpu_utilization_percentage",
        value: 40 + (step % 7) * 5,
        timestamp: Date.now() + step * 1000,
        step,
      });
    await mlflow("runs/log-batch", { run_id: id, metrics, params: [{ key: "depth", value: String(depth) }], tags: [] });
    return id;
  };
  const runs = [];
  for (const [index, depth] of [5, 5, 7].entries()) runs.push(await begin(`trial-${index}`, depth));
  const [run] = runs;
  const put = (file, content) =>
    call("PUT", `/api/2.0/mlflow-artifacts/artifacts/${run}/${file}`, content, {
      "content-type": "application/octet-stream",
    });
  for (const [file, content] of Object.entries(files())) await put(file, content);
  await mlflow("runs/update", { run_id: run, status: "FINISHED", end_time: Date.now() });
  const [few, many] = [id(1), id(2)];
  await spans(call, experiment_id, run, few, talk());
  await spans(call, experiment_id, run, many, loop(30_000));
  await mlflow("registered-models/create", {
    name: `prompt-${experiment_id}`,
    tags: [{ key: "mlflow.prompt.is_prompt", value: "true" }],
  });
  for (const text of ["Answer: {{question}}", "Answer in one sentence.\nQuestion: {{question}}"])
    await mlflow("model-versions/create", {
      name: `prompt-${experiment_id}`,
      source: "prompt-template",
      tags: [
        { key: "mlflow.prompt.is_prompt", value: "true" },
        { key: "mlflow.prompt.text", value: text },
      ],
    });
  const { dataset } = await call("POST", "/api/3.0/mlflow/datasets/create", {
    name: `questions ${experiment_id}`,
    experiment_ids: [experiment_id],
  });
  const records = Array.from({ length: 450 }, (_, at) => ({
    inputs: { question: `question ${at}` },
    expectations: { answer: at },
  }));
  await call("POST", `/api/3.0/mlflow/datasets/${dataset.dataset_id}/records`, { records: JSON.stringify(records) });
  return {
    experiment: experiment_id,
    name,
    runs,
    few: `tr-${few}`,
    many: `tr-${many}`,
    prompt: `prompt-${experiment_id}`,
    dataset: dataset.dataset_id,
  };
}

/** Logs one more value of a metric, as a trainer does. */
export async function logMore(origin, run, step) {
  const metric = { run_id: run, key: "loss", value: 0.01, timestamp: Date.now() + 90_000, step };
  const response = await fetch(`${origin}/api/2.0/mlflow/runs/log-metric`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(metric),
  });
  if (!response.ok) throw new Error(`${response.status} for log-metric: ${await response.text()}`);
}

const nonce = Math.floor(Math.random() * 0xffffffff)
  .toString(16)
  .padStart(8, "0");
const id = (number) => `${nonce}${number.toString(16).padStart(24, "0")}`;
const spanId = (number) => (number + 1).toString(16).padStart(16, "0");

const value = (of) => (typeof of === "string" ? { stringValue: of } : { stringValue: JSON.stringify(of) });
const attribute = ([key, of]) => ({ key, value: value(of) });

async function spans(call, experiment, run, traceId, all) {
  const begin = BigInt(Date.now()) * 1_000_000n;
  const at = (ms) => String(begin + BigInt(Math.round(ms * 1e6)));
  const made = all.map(({ span, parent, name, start, end, attributes, failed }) => ({
    traceId,
    spanId: spanId(span),
    parentSpanId: parent === null ? "" : spanId(parent),
    name,
    startTimeUnixNano: at(start),
    endTimeUnixNano: at(end),
    attributes: Object.entries(attributes).map(attribute),
    status: failed ? { code: 2, message: failed } : { code: 1 },
    events: failed
      ? [
          {
            name: "exception",
            timeUnixNano: at(end),
            attributes: Object.entries({ "exception.type": "TimeoutError", "exception.message": failed }).map(
              attribute,
            ),
          },
        ]
      : [],
  }));
  // The root comes last, as a program exports it.
  made.reverse();
  const PART = 5_000;
  for (let from = 0; from < made.length; from += PART) {
    const body = { resourceSpans: [{ scopeSpans: [{ spans: made.slice(from, from + PART) }] }] };
    await call("POST", "/v1/traces", body, { "x-mlflow-experiment-id": experiment, "x-mlflow-run-id": run });
  }
}

const kind = (word, more = {}) => ({ "mlflow.spanType": word, ...more });

function talk() {
  const messages = [{ role: "user", content: "is it on?" }];
  const usage = { "mlflow.chat.tokenUsage": { input_tokens: 12, output_tokens: 3, total_tokens: 15 } };
  return [
    {
      span: 0,
      parent: null,
      name: "answer",
      start: 0,
      end: 900,
      attributes: kind("AGENT", { "mlflow.spanInputs": { question: "is it on?" } }),
    },
    {
      span: 1,
      parent: 0,
      name: "weather",
      start: 10,
      end: 300,
      attributes: kind("TOOL"),
      failed: "no answer within 5 s",
    },
    {
      span: 2,
      parent: 0,
      name: "chat",
      start: 310,
      end: 890,
      attributes: kind("CHAT_MODEL", {
        "mlflow.spanInputs": { messages },
        "mlflow.spanOutputs": { role: "assistant", content: "It is." },
        ...usage,
      }),
    },
  ];
}

function loop(count) {
  return Array.from({ length: count }, (_, span) => ({
    span,
    parent: span === 0 ? null : span % 30 === 1 ? 0 : span - 1 - (span % 3 === 0 ? 1 : 0),
    name: span === 0 ? "agent" : span % 30 === 1 ? `turn ${(span - 1) / 30}` : "think",
    start: span * 4,
    end: span === 0 ? count * 4 + 10 : span * 4 + 3,
    attributes: { "mlflow.spanType": span === 0 ? "AGENT" : "CHAIN" },
  }));
}

function files() {
  const images = [0, 10, 20].map((step) => [
    `images/dog+step+${step}+timestamp+17000000000${step}+0a1b-22.png`,
    png(step * 10),
  ]);
  const many = Array.from({ length: 3000 }, (_, part) => [`many/part-${part}.txt`, `part ${part}\n`]);
  return {
    "README.md": "# Card\n\nWhat it **is**.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n",
    "train.py": 'import mlflow\n\n# trains\nmlflow.log_param("depth", 5)\n',
    "report.html":
      "<!doctype html><h1>Report</h1><p id=said>nothing</p><script>" +
      "document.getElementById('said').textContent='ran';" +
      "fetch('/api/workspace').then(()=>document.title='reached',()=>document.getElementById('said').textContent='ran, reached nothing');" +
      "try{document.cookie;document.body.append(' cookies')}catch{document.body.append(' no cookies')}</script>",
    "rows.csv": ["id,carrier", ...Array.from({ length: 50_000 }, (_, at) => `${at},"UA, ${at % 7}"`)].join("\n"),
    "eval.json": JSON.stringify({
      columns: ["question", "score"],
      data: [
        ["a", 1],
        ["b", 0],
      ],
    }),
    "drawing.svg":
      '<svg xmlns="http://www.w3.org/2000/svg" width="60" height="40"><rect width="60" height="40" fill="teal"/><script>top.document.title="ran"</script></svg>',
    "paper.pdf": pdf(),
    "model/MLmodel":
      'flavors:\n  python_function:\n    loader_module: mlflow.pyfunc.model\nsignature:\n  inputs: \'[{"type": "double", "name": "x", "required": true}]\'\n',
    "model/requirements.txt": "mlflow==3.17.2\n",
    "weights.bin": Buffer.alloc(4096),
    ...Object.fromEntries([...images, ...many.slice(0, 400)]),
  };
}

function chunk(kind_, data) {
  const body = Buffer.concat([Buffer.from(kind_), data]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length, 0);
  body.copy(out, 4);
  out.writeUInt32BE(crc(body), body.length + 4);
  return out;
}

/** A grey picture of 8 by 8. */
function png(shade) {
  const head = Buffer.from([0, 0, 0, 8, 0, 0, 0, 8, 8, 0, 0, 0, 0]);
  const rows = Buffer.concat(
    Array.from({ length: 8 }, () => Buffer.from([0, ...Array.from({ length: 8 }, () => shade)])),
  );
  const signature = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]);
  return Buffer.concat([
    signature,
    chunk("IHDR", head),
    chunk("IDAT", deflateSync(rows)),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

function crc(bytes) {
  let sum = 0xffffffff;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit += 1) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
  }
  return (sum ^ 0xffffffff) >>> 0;
}

function pdf() {
  return Buffer.from(
    "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n" +
      "3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 100]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n",
  );
}
