import type { Json, NumberPair, RunComparison, ValuePair } from "../../../api/types.gen";
import { number } from "../../../format/number";
import { value } from "../../../format/value";
import { Card } from "../../../ui/Card";
import { DataTable } from "../../../ui/DataTable";
import { AssetValue } from "../runs/AssetValue";
import { assetOf } from "../runs/asset";
import { change } from "./change";

interface Numbered extends NumberPair {
  step: string;
}

interface Valued extends ValuePair {
  step: string;
}

/** Inputs, outputs and numbers that are not the same in both. */
export function ValuePairs({ view }: { view: RunComparison }) {
  const outputs = view.steps.flatMap((pair) => pair.outputs.map((output) => ({ step: pair.step, ...output })));
  const metrics = view.steps.flatMap((pair) => pair.metrics.map((metric) => ({ step: pair.step, ...metric })));
  return (
    <>
      <Card flush title="Inputs">
        <Values label="inputs that differ" rows={view.inputs.map((input) => ({ step: "", ...input }))} none="inputs" />
      </Card>
      <Card flush title="Outputs">
        <Values label="outputs that differ" rows={outputs} none="outputs" />
      </Card>
      <Card flush title="Metrics">
        {metrics.length === 0 ? <p className="muted pad">No step logged a number.</p> : <Metrics rows={metrics} />}
      </Card>
    </>
  );
}

function Values({ label, rows, none }: { label: string; rows: Valued[]; none: string }) {
  if (rows.length === 0) return <p className="muted pad">All {none} are the same.</p>;
  const steps = rows.some((row) => row.step !== "");
  return (
    <DataTable
      label={label}
      rows={rows}
      rowKey={(row) => `${row.step} ${row.name}`}
      columns={[
        ...(steps ? [{ key: "step", header: "Step", value: (row: Valued) => row.step }] : []),
        { key: "name", header: "Name", value: (row) => row.name },
        { key: "this", header: "This", value: (row) => row.a, cell: (row) => <Shown given={row.a} /> },
        { key: "other", header: "Other", value: (row) => row.b, cell: (row) => <Shown given={row.b} /> },
      ]}
    />
  );
}

function Shown({ given }: { given: Json | undefined }) {
  if (given === undefined) return <span className="muted">has none</span>;
  const asset = assetOf(given);
  return asset ? <AssetValue asset={asset} /> : <span className="mono">{value(given)}</span>;
}

function Metrics({ rows }: { rows: Numbered[] }) {
  return (
    <DataTable
      label="metrics"
      rows={rows}
      rowKey={(row) => `${row.step} ${row.name}`}
      columns={[
        { key: "step", header: "Step", value: (row) => row.step },
        { key: "name", header: "Metric", value: (row) => row.name },
        { key: "this", header: "This", numeric: true, value: (row) => row.a, cell: (row) => shown(row.a) },
        { key: "other", header: "Other", numeric: true, value: (row) => row.b, cell: (row) => shown(row.b) },
        { key: "change", header: "Change", numeric: true, value: (row) => change(row.a, row.b) },
      ]}
    />
  );
}

const shown = (measured: number | null) => (measured === null ? "–" : number(measured));
