// Writes a workspace whose triggers, windows, events, items and called pipelines are in every state there is:
// node e2e/orchestration.mjs FOLDER. The server that runs it is then told what `happen` tells.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const DAY = 86_400_000;
/** The day so many days ago, `2026-03-01`; what is about today has no time of day. */
export const day = (ago) => new Date(Date.now() - ago * DAY).toISOString().slice(0, 10);

/** Items of the step that has many, of which each 97th fails. */
export const ITEMS = 1_500;
/** Days that the windows of the workspace go back. */
const DAYS = 45;
/** Goes on until somebody takes the workspace away, or five minutes have passed: no program outlives a journey. */
const LONG = "for i in $(seq 1500); do test -e millrace.yaml || exit 0; sleep 0.2; done";

function pipelines() {
  return {
    // Its newest window runs, two days failed, and what waits for those days waits.
    ingest_orders: `
description: Orders of each day, as the shop closes its books
triggers:
  daily: {window: 1d, from: ${day(DAYS)}, timezone: Europe/Berlin, parallel: 12}
steps:
  pull:
    run: |
      case "$DAY" in ${day(6)}|${day(16)}) echo "no books for $DAY" >&2; exit 1;; ${day(1)}) ${LONG};; esac
      echo "orders of $DAY"
    env: {DAY: "\${{ window.start | date }}"}
`,
    daily_features: `
description: Features of each day, once its orders are in
triggers:
  daily: {window: 1d, from: ${day(DAYS)}, timezone: Europe/Berlin, parallel: 12, lateness: 3d, after: [{pipeline: ingest_orders}]}
steps:
  build: {set: {day: "\${{ window.start | date }}"}}
`,
    weekly_report: `
triggers:
  weekly: {window: 1w, from: ${monday(day(DAYS))}, timezone: Europe/Berlin, after: [{pipeline: daily_features, require: {missing_ok: 1}}, {self: -1w}]}
steps:
  report: {set: {week: "\${{ window.start | date }}"}}
`,
    hourly_clicks: `
triggers:
  hourly: {window: 1h, from: ${day(3)}, timezone: UTC, parallel: 12}
steps:
  count: {set: {hour: "\${{ window.start }}"}}
`,
    monthly_close: `
triggers:
  monthly: {window: 1mo, from: 2025-03-01, timezone: America/New_York, parallel: 4}
steps:
  close: {set: {month: "\${{ window.start | date }}"}}
`,
    nightly: `
inputs: {region: eu}
triggers:
  night: {cron: "30 2 * * *", timezone: Europe/Berlin}
  office: {cron: "*/20 9-17 * * mon-fri", timezone: America/New_York, jitter: 2m, inputs: {region: us}}
  minutes: {every: 30s}
  fortnight: {every: 2w, weekdays: [mon, thu], at: ["08:30", "16:30"], from: 2026-01-05, timezone: Asia/Kolkata}
  last_friday: {every: 1mo, nth: [{fri: -1}], at: ["18:00"], timezone: Australia/Sydney}
  once: {every: 1d, from: 2026-01-01, until: 2026-01-03, timezone: UTC}
steps:
  go: {set: {region: "\${{ inputs.region }}"}}
`,
    on_events: `
inputs: {subject: none, amount: 0}
triggers:
  pushed: {webhook: github, events: [push], if: "event.ref == 'refs/heads/main'", inputs: {subject: "\${{ event.ref }}"}}
  ordered: {webhook: hmac, inputs: {subject: "\${{ event.order }}", amount: "\${{ event.amount }}"}}
  gathered: {webhook: hmac, batch: {size: 100, within: 1d}, inputs: {amount: "\${{ events | length }}"}}
  landed: {file: "landing/**/*.csv", settle: 1s, every: 1s, inputs: {subject: "\${{ event.blob.path }}"}}
  releases: {feed: "http://127.0.0.1:9/releases.atom", every: 1m}
  after_night: {pipeline: nightly, states: [failed], inputs: {subject: "\${{ event.run.id }}"}}
steps:
  take: {set: {subject: "\${{ inputs.subject }}", amount: "\${{ inputs.amount }}"}}
`,
    many_items: `
steps:
  list: {set: {numbers: "\${{ range(0, ${ITEMS}) | list }}"}}
  each:
    set: {half: "\${{ 1000 // (item % 97) }}"}
    foreach: "\${{ steps.list.numbers }}"
    max_failures: 1000
  models:
    run: |
      echo "trains $MODEL of depth $DEPTH"; test "$MODEL$DEPTH" != forest8
    matrix: {model: [boosting, forest, linear], depth: [4, 8]}
    max_failures: 1
    env: {MODEL: "\${{ matrix.model }}", DEPTH: "\${{ matrix.depth }}"}
    needs: [list]
  regions: {pipeline: score_region, inputs: {region: "\${{ item }}"}, foreach: [eu, us, apac]}
  nested: {pipeline: score_region, inputs: {region: all}, needs: [models]}
  slow:
    run: 'test $N -lt 2 || { ${LONG}; }'
    foreach: [0, 1, 2, 3, 4, 5]
    parallel: 2
    env: {N: "\${{ item }}"}
  sum: {set: {n: "\${{ steps.each.items | length }}"}}
`,
    score_region: `
inputs: {region: {type: string}}
steps:
  score: {run: "echo scores $REGION", env: {REGION: "\${{ inputs.region }}"}}
outputs: {region: "\${{ inputs.region }}"}
`,
  };
}

/** The Monday on or before a day. */
function monday(text) {
  const date = new Date(`${text}T00:00:00Z`);
  date.setUTCDate(date.getUTCDate() - ((date.getUTCDay() + 6) % 7));
  return date.toISOString().slice(0, 10);
}

/** Asks again and again, for two minutes. */
async function until(what, holds) {
  for (let tries = 0; tries < 600; tries += 1) {
    const found = await holds();
    if (found) return found;
    await new Promise((done) => setTimeout(done, 200));
  }
  throw new Error(`waited two minutes for ${what}`);
}

/** Tells a server of the workspace what happens around it; resolves once nothing changes by itself any more. */
export async function happen(origin, folder) {
  const call = async (method, path, body, headers = {}) => {
    const init = { method, headers: { "content-type": "application/json", ...headers } };
    if (body !== undefined) init.body = JSON.stringify(body);
    const response = await fetch(origin + path, init);
    if (!response.ok) throw new Error(`${response.status} for ${method} ${path}: ${await response.text()}`);
    return response.json();
  };
  const read = (path) => call("GET", path);
  const inState = async (pipeline, state) =>
    (await read(`/api/pipelines/${pipeline}/windows`)).windows.filter((window) => window.state === state);
  const push = (ref, delivery) =>
    call("POST", "/hooks/on_events/pushed", { ref }, { "x-github-event": "push", "x-github-delivery": delivery });
  const many = await call("POST", "/api/pipelines/many_items/runs", { inputs: {} });
  for (const delivery of ["a", "a", "b"]) await push("refs/heads/main", delivery);
  await push("refs/heads/side", "c");
  for (const order of [4711, 4712])
    await call("POST", "/hooks/on_events/ordered", { order: `order ${order}`, amount: order % 7 });
  // Without its amount an order is tried again for half a minute, and is a dead letter then.
  for (const order of [5001, 5002]) await call("POST", "/hooks/on_events/ordered", { order: `order ${order}` });
  for (const n of [1, 2, 3]) await call("POST", "/hooks/on_events/gathered", { n });
  await writeFile(join(folder, "landing", "orders.csv"), "id\n1\n");
  await call("POST", "/api/pipelines/nightly/triggers/office/pause", {});
  const features = "daily_features";
  await until("the windows of features", async () => (await inState(features, "succeeded")).length >= DAYS - 5);
  // What was built on orders that were read again is stale.
  await call("POST", "/api/pipelines/ingest_orders/windows/rerun", { from: day(30), until: day(28) });
  await call("POST", `/api/pipelines/${features}/windows/cancel`, { from: day(16) });
  await call("POST", "/api/pipelines/hourly_clicks/backfill", { from: day(2), until: day(2) });
  await until("stale windows", async () => (await inState(features, "stale")).length >= 3);
  const counts = async () =>
    Object.fromEntries((await read("/api/inbox")).counts.map((one) => [one.status, one.events]));
  const dead = await until(
    "dead letters",
    async () => ((await counts()).dead ?? 0) >= 2 && read("/api/inbox?status=dead"),
  );
  await until("the file", async () => (await read("/api/inbox?trigger=landed")).events.length > 0);
  await until("all items", async () => {
    const { steps } = await read(`/api/runs/${many.id}`);
    return steps
      .filter(({ id }) => ["each", "models", "regions", "nested"].includes(id))
      .every(({ ended_at }) => ended_at);
  });
  return { many: many.id, dead: dead.events[0].id };
}

/** Writes the workspace into a folder. */
export async function write(folder) {
  await mkdir(join(folder, "pipelines"), { recursive: true });
  await mkdir(join(folder, "landing"), { recursive: true });
  await writeFile(join(folder, "millrace.yaml"), "name: orchestration\ntimezone: Europe/Berlin\n");
  for (const [name, text] of Object.entries(pipelines()))
    await writeFile(join(folder, "pipelines", `${name}.yaml`), `pipeline: ${name}\n${text.trimStart()}`);
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) await write(process.argv[2]);
