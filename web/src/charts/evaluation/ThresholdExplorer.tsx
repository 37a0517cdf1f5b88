import { useId, useState } from "react";
import { number, percent } from "../../format/number";
import { ConfusionMatrix } from "./ConfusionMatrix";
import { nearest, rates, type ThresholdPoint } from "./threshold";

interface ThresholdExplorerProps {
  points: ThresholdPoint[];
  positive: string;
  negative: string;
  start?: number;
}

/** A confusion matrix that follows the threshold. */
export function ThresholdExplorer({ points, positive, negative, start = 0.5 }: ThresholdExplorerProps) {
  const id = useId();
  const [threshold, setThreshold] = useState(start);
  const point = nearest(points, threshold);
  if (!point) return null;
  const { accuracy, precision, recall, f1 } = rates(point);
  return (
    <div className="stack">
      <div className="row">
        <label htmlFor={id}>Threshold</label>
        <input
          id={id}
          type="range"
          min={0}
          max={1}
          step={0.01}
          value={threshold}
          onChange={(event) => setThreshold(Number(event.target.value))}
          style={{ flex: 1, accentColor: "var(--accent)" }}
        />
        <output htmlFor={id} className="mono">
          {number(point.threshold)}
        </output>
      </div>
      <ConfusionMatrix
        classes={[negative, positive]}
        matrix={[
          [point.tn, point.fp],
          [point.fn, point.tp],
        ]}
      />
      <div className="row small">
        <span>accuracy {percent(accuracy)}</span>
        <span>precision {percent(precision)}</span>
        <span>recall {percent(recall)}</span>
        <span>F1 {number(f1)}</span>
      </div>
    </div>
  );
}
