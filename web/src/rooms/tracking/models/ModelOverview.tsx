import { Link } from "@tanstack/react-router";
import type { ModelColumn, ModelVersionView } from "../../../api/types.gen";
import { short } from "../../../format/id";
import { number } from "../../../format/number";
import { Card } from "../../../ui/Card";
import { DataTable } from "../../../ui/DataTable";
import { Facts } from "../../../ui/Facts";
import { OnnxCard } from "./OnnxCard";

/** Metrics, signature and what is inside. */
export function ModelOverview({ version }: { version: ModelVersionView }) {
  const { signature, onnx, producer } = version;
  const metrics = Object.entries(version.metrics);
  return (
    <>
      {metrics.length > 0 && (
        <Card title="Metrics">
          <div className="row" style={{ gap: 28 }}>
            {metrics.map(([name, value]) => (
              <div key={name}>
                <div className="small muted">{name}</div>
                <div className="figure">{number(value)}</div>
              </div>
            ))}
          </div>
        </Card>
      )}
      {version.metrics_by_dataset.length > 0 && (
        <Card title="Metrics by dataset" flush>
          <DataTable
            label="metrics by dataset"
            rows={version.metrics_by_dataset.flatMap((of) =>
              Object.entries(of.metrics).map(([name, value]) => ({ ...of, name, value })),
            )}
            rowKey={(row) => `${row.run_id} ${row.step ?? ""} ${row.dataset} ${row.name}`}
            columns={[
              {
                key: "dataset",
                header: "Dataset",
                value: (row) => row.dataset,
                cell: (row) =>
                  row.version ? (
                    <Link to="/data/$name" params={{ name: row.dataset }} search={{ version: row.version }}>
                      {row.dataset}@{row.version}
                    </Link>
                  ) : (
                    row.dataset || <span className="muted">–</span>
                  ),
              },
              { key: "metric", header: "Metric", value: (row) => row.name },
              { key: "value", header: "Value", numeric: true, value: (row) => number(row.value) },
              { key: "by", header: "By", value: (row) => row.step ?? short(row.run_id) },
            ]}
          />
        </Card>
      )}
      <div className="halves">
        <Card title="Takes" flush>
          <Columns columns={signature?.inputs ?? []} label="inputs" />
        </Card>
        <Card title="Gives" flush>
          <Columns columns={signature?.outputs ?? []} label="outputs" />
        </Card>
        <Card title="Origin">
          <Facts
            facts={[
              ["flavours", version.flavors.join(", ")],
              [
                "digest",
                <span key="digest" className="mono">
                  {version.digest}
                </span>,
              ],
              [
                "made by",
                producer && (
                  <Link
                    key="run"
                    to="/runs/$run"
                    params={{ run: producer.run_id }}
                    search={{ step: producer.step ?? undefined }}
                  >
                    {producer.step ?? "run"} of {short(producer.run_id)}
                  </Link>
                ),
              ],
              [
                "from",
                version.inputs.length > 0 &&
                  version.inputs
                    .map((input) => `${input.name}${input.version > 0 ? `@${input.version}` : ""}`)
                    .join(", "),
              ],
            ]}
          />
        </Card>
        {version.input_example !== null && (
          <Card title="Example">
            <pre className="code" tabIndex={0} aria-label="input example" style={{ maxHeight: 240 }}>
              {JSON.stringify(version.input_example, null, 2)}
            </pre>
          </Card>
        )}
        {onnx && <OnnxCard onnx={onnx} />}
        {version.onnx_problem && (
          <Card title="ONNX">
            <p className="muted">The graph cannot be shown: {version.onnx_problem}</p>
          </Card>
        )}
      </div>
    </>
  );
}

function Columns({ columns, label }: { columns: ModelColumn[]; label: string }) {
  if (columns.length === 0) return <p className="muted body">The model has no signature.</p>;
  return (
    <DataTable
      label={label}
      rows={columns}
      rowKey={(column) => column.name}
      exportable={false}
      columns={[
        { key: "name", header: "Column", value: (column) => column.name },
        { key: "type", header: "Type", value: (column) => column.type },
        ...(label === "inputs"
          ? [
              {
                key: "required",
                header: "Needed",
                value: (column: ModelColumn) => (column.required ? "yes" : "may be absent"),
              },
            ]
          : []),
      ]}
    />
  );
}
