import { useMemo } from "react";
import { number } from "../../format/number";
import { Bars } from "../bars/Bars";
import { LineChart } from "../line/LineChart";
import type { Point } from "../line/smooth";
import { ConfusionMatrix } from "./ConfusionMatrix";
import { readReport } from "./report";
import { ThresholdExplorer } from "./ThresholdExplorer";

const DIAGONAL: Point[] = [
  [0, 0],
  [1, 1],
];
const ROC = { xName: "false positive rate", yName: "true positive rate", min: 0, max: 1 };
const PR = { xName: "recall", yName: "precision", min: 0, max: 1 };
const CALIBRATION = { xName: "predicted probability", yName: "observed share", min: 0, max: 1 };

/** Everything an evaluation report has, drawn. */
export function Evaluation({ document }: { document: unknown }) {
  const report = useMemo(() => readReport(document), [document]);
  const curves = useMemo(
    () => ({
      roc: [
        { name: "model", points: report.roc },
        { name: "chance", points: DIAGONAL, dashed: true },
      ],
      pr: [{ name: "model", points: report.pr }],
      calibration: [
        { name: "model", points: report.calibration },
        { name: "perfect", points: DIAGONAL, dashed: true },
      ],
    }),
    [report],
  );
  const negative = report.classes[0] ?? "no";
  const positive = report.classes[1] ?? "yes";
  return (
    <div className="stack">
      {report.metrics.length > 0 && (
        <div className="row" style={{ gap: 24 }}>
          {report.metrics.map(([name, value]) => (
            <div key={name}>
              <div className="small muted">{name}</div>
              <div className="figure">{number(value)}</div>
            </div>
          ))}
        </div>
      )}
      <div className="halves">
        {report.roc.length > 0 && <LineChart title="ROC" lines={curves.roc} look={ROC} height={260} />}
        {report.pr.length > 0 && <LineChart title="Precision and recall" lines={curves.pr} look={PR} height={260} />}
        {report.thresholds.length > 0 ? (
          <ThresholdExplorer points={report.thresholds} positive={positive} negative={negative} />
        ) : (
          report.confusion.length > 0 && (
            <ConfusionMatrix
              classes={report.confusion.map((_, i) => report.classes[i] ?? String(i))}
              matrix={report.confusion}
            />
          )
        )}
        {report.calibration.length > 0 && (
          <LineChart title="Calibration" lines={curves.calibration} look={CALIBRATION} height={260} />
        )}
        {report.importance.length > 0 && <Bars title="Feature importance" bars={report.importance} limit={12} />}
        {report.residuals && (
          <Bars
            title="Residuals"
            bars={report.residuals.bins.map((name, index) => ({ name, value: report.residuals?.counts[index] ?? 0 }))}
          />
        )}
      </div>
    </div>
  );
}
