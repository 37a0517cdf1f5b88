// @ts-check
// Made-up runs with the server's paging: an experiment of a page, and one of 100,000 runs with 1,000 metrics, made as they are asked for.

/** @import * as api from "../src/api/types.gen" */

/** An answer that is not the one asked for. */
export class Refused extends Error {
  /** @param {number} status @param {{ code: string, title: string, detail: string }} problem */
  constructor(status, problem) {
    super(problem.detail);
    this.status = status;
    this.problem = problem;
  }
}

/**
 * Runs by number; nothing is made before it is asked for.
 * @typedef {{ count: number, metrics: string[], params: string[], value: (run: number, field: string) => string | number | null | undefined,
 *   run: (run: number, columns: string[]) => api.TrackedRun }} Runs
 */

/** @param {number} run @param {number} salt a number from 0 to 1 that is always the same for the same two. */
const noise = (run, salt) => {
  let bits = Math.imul(run + 1, 0x9e3779b1) ^ Math.imul(salt + 1, 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 15), 0x2c1b3c6d);
  bits = Math.imul(bits ^ (bits >>> 12), 0x297a2d39);
  return ((bits ^ (bits >>> 15)) >>> 0) / 4294967296;
};

const SWEEP_METRICS = [
  "auc",
  "loss",
  "accuracy",
  "val_loss",
  "seconds",
  ...Array.from({ length: 995 }, (_, i) => `layer_${String(i).padStart(3, "0")}/grad_norm`),
];
/** @type {Record<string, string[]>} */
const SWEEP_CHOICES = {
  depth: ["3", "4", "5", "6", "7"],
  learning_rate: ["0.003", "0.01", "0.03", "0.1", "0.3"],
  optimizer: ["adam", "sgd", "lion"],
  batch_size: ["64", "128", "256"],
  dropout: ["0", "0.1", "0.3"],
  data: ["flights_train@3"],
  ...Object.fromEntries(Array.from({ length: 24 }, (_, i) => [`augment_${i}`, ["on", "off"]])),
};
const SWEEP_PARAMS = Object.keys(SWEEP_CHOICES);
const SWEEP_END = Date.now() - 600_000;

/** @param {number} run */
const sweepId = (run) => `5eed${run.toString(16).padStart(28, "0")}`;
/** @param {number} run @param {string} name */
const sweepParam = (run, name) => {
  const choices = SWEEP_CHOICES[name];
  return choices?.[Math.floor(noise(run, SWEEP_PARAMS.indexOf(name) + 2000) * choices.length)];
};
/** @param {number} run @param {string} name */
const sweepMetric = (run, name) => {
  const at = SWEEP_METRICS.indexOf(name);
  if (at < 0) return undefined;
  const depth = Number(sweepParam(run, "depth"));
  const rate = Math.log10(Number(sweepParam(run, "learning_rate")));
  const quality = 0.7 + depth * 0.02 - (rate + 1.3) ** 2 * 0.03 + (noise(run, at) - 0.5) * 0.05;
  if (at === 0 || at === 2) return quality;
  if (at === 1 || at === 3) return 1.1 - quality + noise(run, at + 7) * 0.05;
  if (at === 4) return depth * 20 + noise(run, at) * 30;
  return noise(run, at) * 10 ** (noise(at, 3) * 6 - 4);
};
/** @param {number} run */
const sweepStatus = (run) => (run < 2 ? "RUNNING" : noise(run, 5000) < 0.03 ? "FAILED" : "FINISHED");

/** @type {Runs} */
export const SWEEP = {
  count: 100_000,
  metrics: SWEEP_METRICS,
  params: SWEEP_PARAMS,
  value: (run, field) => {
    const [family = "", ...rest] = field.split(".");
    const name = rest.join(".");
    if (family === "metrics") return sweepMetric(run, name);
    if (family === "params") return sweepParam(run, name);
    if (field === "run_id") return sweepId(run);
    if (field === "name") return `trial-${100_000 - run}`;
    if (field === "status") return sweepStatus(run);
    return field === "start_time" ? -run : undefined;
  },
  run: (run, columns) => {
    const start = SWEEP_END - run * 61_000;
    const has = (/** @type {string} */ key) => columns.length === 0 || columns.includes(key);
    return {
      id: sweepId(run),
      name: `trial-${100_000 - run}`,
      experiment_id: "3",
      status: sweepStatus(run),
      start_time: new Date(start).toISOString(),
      end_time: run < 2 ? null : new Date(start + (sweepMetric(run, "seconds") ?? 0) * 1000).toISOString(),
      params: Object.fromEntries(
        SWEEP_PARAMS.filter((name) => has(`params.${name}`)).map((name) => [name, sweepParam(run, name) ?? ""]),
      ),
      metrics: Object.fromEntries(
        SWEEP_METRICS.filter((name) => has(`metrics.${name}`)).map((name) => [name, sweepMetric(run, name) ?? 0]),
      ),
      tags: /** @type {api.TextMap} */ (has("tags.mlflow.user") ? { "mlflow.user": "ana" } : {}),
      parent_id: null,
      pipeline_run_id: null,
      step: null,
      artifact_uri: `mlflow-artifacts:/${sweepId(run)}`,
    };
  },
};

/** Runs that are there in whole. @param {api.TrackedRun[]} rows @returns {Runs} */
export const runsOf = (rows) => ({
  count: rows.length,
  metrics: [...new Set(rows.flatMap((row) => Object.keys(row.metrics)))],
  params: [...new Set(rows.flatMap((row) => Object.keys(row.params)))],
  value: (run, field) => {
    const row = rows[run];
    const name = field.slice(field.indexOf(".") + 1);
    if (field.startsWith("metrics.")) return row?.metrics[name];
    if (field.startsWith("params.")) return row?.params[name];
    if (field === "run_id") return row?.id;
    return field === "name" ? row?.name : field === "status" ? row?.status : row?.start_time;
  },
  run: (run, columns) => {
    const row = /** @type {api.TrackedRun} */ (rows[run]);
    /** @template T @param {string} family @param {Record<string, T>} values */
    const kept = (family, values) =>
      Object.fromEntries(
        Object.entries(values).filter(([name]) => columns.length === 0 || columns.includes(`${family}.${name}`)),
      );
    return {
      ...row,
      metrics: kept("metrics", row.metrics),
      params: kept("params", row.params),
      tags: kept("tags", row.tags),
    };
  },
});

const CLAUSE = /^(?:(metrics|params|attributes)\.)?`?([\w./-]+?)`?\s*(<=|>=|!=|=|<|>|in)\s*(.+)$/i;

/** @param {string} filter @returns {{ field: string, test: (value: string | number | null | undefined) => boolean }[]} */
function clauses(filter) {
  return filter
    .split(/\s+and\s+/i)
    .filter(Boolean)
    .map((text) => {
      const [, family, name = "", op = "", right = ""] = CLAUSE.exec(text.trim()) ?? [];
      const known = ["run_id", "name", "run_name", "status", "start_time"].includes(name);
      if (!name || (!known && !family)) throw invalid(`Invalid clause(s) in filter string: '${text.trim()}'`);
      const field = family && family !== "attributes" ? `${family}.${name}` : name === "run_name" ? "name" : name;
      if (op.toLowerCase() === "in") {
        const among = new Set([...right.matchAll(/'([^']*)'/g)].map((match) => match[1]));
        return { field, test: (value) => among.has(String(value)) };
      }
      const quoted = /^'(.*)'$/.exec(right)?.[1];
      if (family === "metrics" && quoted !== undefined)
        throw invalid(`Expected numeric value type for metric. Found '${quoted}'`);
      const wanted = quoted ?? Number(right);
      if (Number.isNaN(wanted)) throw invalid(`Invalid clause(s) in filter string: '${text.trim()}'`);
      return { field, test: (value) => value !== null && value !== undefined && holds(value, op, wanted) };
    });
}

/** @param {string | number} value @param {string} op @param {string | number} wanted */
function holds(value, op, wanted) {
  if (op === "=") return value === wanted;
  if (op === "!=") return value !== wanted;
  if (op === "<") return value < wanted;
  if (op === ">") return value > wanted;
  return op === "<=" ? value <= wanted : value >= wanted;
}

/** @param {string} detail */
const invalid = (detail) => new Refused(400, { code: "invalid-query", title: "invalid query", detail });

/** Numbers of runs by what was asked. @type {WeakMap<Runs, Map<string, number[]>>} */
const ORDERED = new WeakMap();

/** @param {Runs} runs @param {string} filter @param {string} sort @returns {number[]} */
function ordered(runs, filter, sort) {
  const known = ORDERED.get(runs) ?? new Map();
  ORDERED.set(runs, known);
  const name = `${filter}\n${sort}`;
  const found = known.get(name) ?? order(runs, filter, sort);
  known.set(name, found);
  return found;
}

/** @param {Runs} runs @param {string} filter @param {string} sort */
function order(runs, filter, sort) {
  const wanted = clauses(filter);
  const numbers = Array.from({ length: runs.count }, (_, run) => run).filter((run) =>
    wanted.every(({ field, test }) => test(runs.value(run, field))),
  );
  for (const key of sort.split(",").filter(Boolean).toReversed()) {
    const field = key.replace(/^-/, "");
    const sign = key.startsWith("-") ? -1 : 1;
    if (!/^(metrics|params|tags)\.|^(name|status|start_time|end_time)$/.test(field))
      throw invalid(`\`${field}\` is nothing that runs are sorted by`);
    const values = new Map(numbers.map((run) => [run, runs.value(run, field) ?? ""]));
    numbers.sort((a, b) => {
      const [left, right] = [values.get(a) ?? "", values.get(b) ?? ""];
      return left === right ? 0 : left < right ? -sign : sign;
    });
  }
  return numbers;
}

/** A page of runs, as the server gives it. @param {Runs} runs @param {URLSearchParams} query @returns {api.TrackedRunPage} */
export function runPage(runs, query) {
  const found = ordered(runs, query.get("filter") ?? "", query.get("sort") ?? "");
  const from = Number(query.get("after") ?? 0);
  const to = from + Math.min(Number(query.get("limit") ?? 2000), 2000);
  const columns = (query.get("columns") ?? "").split(",").filter(Boolean);
  const shown = found.slice(from, to);
  return {
    runs: shown.map((run) => runs.run(run, columns)),
    next: to < found.length ? String(to) : null,
    total: found.length,
    metric_keys: shown.length > 0 ? runs.metrics : [],
    param_keys: shown.length > 0 ? runs.params : [],
  };
}

/** @param {string} text */
const hash = (text) => [...text].reduce((sum, letter) => (Math.imul(sum, 31) + letter.charCodeAt(0)) | 0, 7) >>> 0;

/** The history of a metric of some runs. @param {URLSearchParams} query @returns {api.MetricCurve[]} */
export function curves(query) {
  const keys = (query.get("keys") ?? "").split(",");
  return (query.get("runs") ?? "").split(",").flatMap((run) =>
    keys.map((key) => {
      const salt = hash(run + key);
      // What is measured once at the end.
      const length = key.startsWith("test_") ? 1 : 100 + (salt % 60);
      const rises = /auc|accuracy/.test(key);
      return {
        run_id: run,
        key,
        points: Array.from({ length }, (_, step) => {
          const fall = Math.exp(-step / (14 + (salt % 17)));
          const wobble = (noise(step, salt) - 0.5) * 0.05;
          const value = rises ? 0.85 - 0.35 * fall + wobble : 0.3 + 0.7 * fall + wobble;
          const at = new Date(SWEEP_END - (hash(run) % 5) * 40_000 + step * (700 + (salt % 300))).toISOString();
          return { step, at, value: value + ((hash(run) % 100) - 50) / 900 };
        }),
      };
    }),
  );
}

/** Runs gathered by a value, as the server gives them. @param {Runs} runs @param {URLSearchParams} query @returns {api.RunGroupList} */
export function runGroups(runs, query) {
  const columns = (query.get("columns") ?? "").split(",").filter(Boolean);
  const numbers = ordered(runs, query.get("filter") ?? "", "");
  /** @type {Map<string | null, number[]>} */
  const groups = new Map();
  for (const run of numbers) {
    const value = runs.value(run, query.get("by") ?? "");
    const key = value === null || value === undefined ? null : String(value);
    const members = groups.get(key);
    if (members) members.push(run);
    else groups.set(key, [run]);
    if (groups.size > 50) break;
  }
  /** @param {number[]} members @param {string} column */
  const spread = (members, column) => {
    const values = members.map((run) => runs.value(run, column)).filter((value) => typeof value === "number");
    const sum = values.reduce((total, value) => total + value, 0);
    if (values.length === 0) return null;
    const [min, max] = values.reduce(
      ([least, most], value) => [Math.min(least, value), Math.max(most, value)],
      [Infinity, -Infinity],
    );
    return { count: values.length, mean: sum / values.length, min, max };
  };
  return {
    groups: [...groups].map(([value, members]) => ({
      value,
      runs: members.length,
      metrics: columns.map((column) => spread(members, column)),
    })),
    total: groups.size,
    runs: numbers.length,
  };
}
