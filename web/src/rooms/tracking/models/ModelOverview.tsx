import { Link } from "@tanstack/react-router";
import type { ModelColumn, ModelVersionView } from "../../../api/types.gen";
import { Bars } from "../../../charts/bars/Bars";
import { short } from "../../../format/id";
import { count, number } from "../../../format/number";
import { Card } from "../../../ui/Card";
import { DataTable } from "../../../ui/DataTable";
import { Facts } from "../../../ui/Facts";

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
        {onnx && (
          <Card title="ONNX">
            <div className="stack">
              <Facts
                facts={[
                  ["producer", onnx.producer],
                  ["IR version", onnx.ir_version],
                  ["opset", onnx.opset],
                  ["nodes", count(onnx.nodes)],
                  ["parameters", count(onnx.parameters)],
                ]}
              />
              <Bars title="Operators" bars={Object.entries(onnx.operators).map(([name, value]) => ({ name, value }))} />
            </div>
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
