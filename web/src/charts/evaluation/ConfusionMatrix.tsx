import { count, percent } from "../../format/number";
import { ChartFrame } from "../engine/ChartFrame";

interface ConfusionMatrixProps {
  classes: string[];
  /** `matrix[actual][predicted]`. */
  matrix: number[][];
  note?: string;
}

/** Who was taken for whom: rows are the truth, columns the prediction, shades the share of the row. */
export function ConfusionMatrix({ classes, matrix, note }: ConfusionMatrixProps) {
  const data = { columns: ["actual", ...classes], rows: classes.map((name, row) => [name, ...(matrix[row] ?? [])]) };
  return (
    <ChartFrame title="Confusion matrix" note={note} data={data}>
      <div className="table-scroll" tabIndex={0} role="region" aria-label="Confusion matrix">
        <table className="table" style={{ width: "auto" }}>
          <thead>
            <tr>
              <th scope="col">actual \ predicted</th>
              {classes.map((name) => (
                <th key={name} scope="col" className="num">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {classes.map((name, actual) => (
              <tr key={name}>
                <th scope="row" style={{ position: "static" }}>
                  {name}
                </th>
                {classes.map((predicted, column) => (
                  <Cell
                    key={predicted}
                    value={matrix[actual]?.[column] ?? 0}
                    row={matrix[actual] ?? []}
                    right={actual === column}
                  />
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </ChartFrame>
  );
}

function Cell({ value, row, right }: { value: number; row: number[]; right: boolean }) {
  const total = row.reduce((sum, entry) => sum + entry, 0);
  const share = total === 0 ? 0 : value / total;
  const color = right ? "var(--ok)" : "var(--bad)";
  return (
    <td
      className="num"
      style={{
        minWidth: 96,
        padding: 8,
        background: `color-mix(in srgb, ${color} ${Math.round(share * 22)}%, var(--surface))`,
      }}
    >
      <div style={{ fontWeight: 600 }}>{count(value)}</div>
      <div className="small">{percent(share)}</div>
    </td>
  );
}
