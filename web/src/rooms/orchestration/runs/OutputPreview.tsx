import { useQuery } from "@tanstack/react-query";
import { Evaluation } from "../../../charts/evaluation/Evaluation";
import { isDrawable, readReport } from "../../../charts/evaluation/report";
import { TablePreview } from "../../../charts/table/TablePreview";
import { number } from "../../../format/number";
import { Answer } from "../../../ui/Answer";
import { Facts } from "../../../ui/Facts";
import { outputQuery, outputRowsQuery } from "../queries";
import type { AssetRef } from "./asset";

interface OutputPreviewProps {
  run: string;
  step: string;
  output: string;
  asset: AssetRef;
}

/** An output to look at: rows of a table, curves of a report, numbers of metrics. */
export function OutputPreview({ asset, ...where }: OutputPreviewProps) {
  if (asset.asset === "table") return <Rows {...where} />;
  if (asset.asset === "report" || asset.asset === "metrics") return <Document {...where} />;
  return null;
}

type Where = Omit<OutputPreviewProps, "asset">;

function Rows({ run, step, output }: Where) {
  const rows = useQuery(outputRowsQuery(run, step, output));
  return (
    <div>
      <h3>{output}: first rows</h3>
      <Answer query={rows}>
        {(preview) => (
          <TablePreview columns={preview.columns} rows={preview.rows} label={`rows of ${output}`} maxHeight={320} />
        )}
      </Answer>
    </div>
  );
}

function Document({ run, step, output }: Where) {
  const document = useQuery(outputQuery(run, step, output));
  return (
    <div>
      <h3>{output}</h3>
      <Answer query={document}>
        {(found) => (isDrawable(readReport(found)) ? <Evaluation document={found} /> : <Numbers document={found} />)}
      </Answer>
    </div>
  );
}

function Numbers({ document }: { document: unknown }) {
  const entries = Object.entries((document ?? {}) as Record<string, unknown>);
  const numbers = entries.filter((entry): entry is [string, number] => typeof entry[1] === "number");
  if (numbers.length > 0 && numbers.length === entries.length) {
    return <Facts facts={numbers.map(([name, value]) => [name, number(value)])} />;
  }
  return (
    <pre className="code" tabIndex={0} aria-label="JSON">
      {JSON.stringify(document, null, 2)}
    </pre>
  );
}
