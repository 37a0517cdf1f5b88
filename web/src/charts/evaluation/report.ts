import type { Point } from "../line/smooth";
import type { ThresholdPoint } from "./threshold";

export interface EvaluationReport {
  task: string | null;
  classes: string[];
  metrics: [string, number][];
  roc: Point[];
  pr: Point[];
  calibration: Point[];
  thresholds: ThresholdPoint[];
  confusion: number[][];
  importance: { name: string; value: number }[];
  residuals: { bins: string[]; counts: number[] } | null;
}

type Doc = Record<string, unknown>;

/** Reads an evaluation report; what it does not have stays empty. Curves may be lists of points or columns of numbers. */
export function readReport(input: unknown): EvaluationReport {
  const doc = object(input);
  return {
    task: typeof doc.task === "string" ? doc.task : null,
    classes: list(doc.classes).map(String),
    metrics: Object.entries(object(doc.metrics)).filter(
      (entry): entry is [string, number] => typeof entry[1] === "number",
    ),
    roc: curve(doc.roc, ["fpr", "x"], ["tpr", "y"]),
    pr: curve(doc.pr ?? doc.precision_recall, ["recall", "x"], ["precision", "y"]),
    calibration: curve(doc.calibration, ["predicted", "mean_predicted", "x"], ["observed", "actual", "y"]),
    thresholds: thresholds(doc.thresholds),
    confusion: list(
      object(doc.confusion).matrix ?? object(doc.confusion_matrix).matrix ?? doc.confusion ?? doc.confusion_matrix,
    )
      .map((row) => list(row).map(Number))
      .filter((row) => row.length > 0),
    importance: importance(doc.importance ?? doc.feature_importance),
    residuals: residuals(doc.residuals),
  };
}

/** Whether there is anything to draw. */
export function isDrawable(report: EvaluationReport): boolean {
  const lists = [report.roc, report.pr, report.calibration, report.thresholds, report.confusion, report.importance];
  return report.residuals !== null || lists.some((entries) => entries.length > 0);
}

function object(input: unknown): Doc {
  return typeof input === "object" && input !== null && !Array.isArray(input) ? (input as Doc) : {};
}

function list(input: unknown): unknown[] {
  return Array.isArray(input) ? input : [];
}

function pick(doc: Doc, names: string[]): unknown {
  return names.map((name) => doc[name]).find((value) => value !== undefined);
}

function curve(input: unknown, xs: string[], ys: string[]): Point[] {
  const doc = object(input);
  const rows = Array.isArray(input) ? input : (doc.points ?? doc.bins ?? doc.curve);
  if (Array.isArray(rows)) {
    return rows.map(
      (row): Point =>
        Array.isArray(row)
          ? [Number(row[0]), Number(row[1])]
          : [Number(pick(object(row), xs)), Number(pick(object(row), ys))],
    );
  }
  const x = list(pick(doc, xs));
  const y = list(pick(doc, ys));
  return x.map((value, index): Point => [Number(value), Number(y[index])]);
}

function thresholds(input: unknown): ThresholdPoint[] {
  return list(input).map((row) => {
    const doc = object(row);
    const read = (...names: string[]) => Number(pick(doc, names) ?? 0);
    return {
      threshold: read("threshold"),
      tp: read("tp", "true_positives"),
      fp: read("fp", "false_positives"),
      tn: read("tn", "true_negatives"),
      fn: read("fn", "false_negatives"),
    };
  });
}

function importance(input: unknown): { name: string; value: number }[] {
  if (Array.isArray(input)) {
    return input.map((row) => {
      const doc = object(row);
      return {
        name: String(pick(doc, ["feature", "name", "column"]) ?? ""),
        value: Number(pick(doc, ["importance", "value", "gain", "mean"]) ?? 0),
      };
    });
  }
  return Object.entries(object(input)).map(([name, value]) => ({ name, value: Number(value) }));
}

function residuals(input: unknown): EvaluationReport["residuals"] {
  const rows = Array.isArray(input) ? input : list(object(input).histogram ?? object(input).bins);
  if (rows.length === 0) return null;
  const bins = rows.map(object);
  return {
    bins: bins.map((bin) => `${Number(bin.from)}…${Number(bin.to)}`),
    counts: bins.map((bin) => Number(bin.count)),
  };
}
