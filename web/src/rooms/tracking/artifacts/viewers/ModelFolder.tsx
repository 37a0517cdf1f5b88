import { useQuery } from "@tanstack/react-query";
import type { ModelColumn } from "../../../../api/types.gen";
import { count } from "../../../../format/number";
import { Answer } from "../../../../ui/Answer";
import { DataTable } from "../../../../ui/DataTable";
import { Facts } from "../../../../ui/Facts";
import { modelFolderQuery } from "../queries";

interface ModelFolderProps {
  path: string;
  /** Names of what lies in the folder. */
  files: readonly string[];
  onFile: (name: string) => void;
}

/** Files of a model folder that people look for, and what they are. */
const PARTS: [string, RegExp][] = [
  ["description", /^MLmodel$/],
  ["input example", /^(serving_)?input_example\.json$/],
  ["requirements", /^(requirements\.txt|conda\.yaml|python_env\.yaml)$/],
];

/** What a model folder says of itself: flavours, signature, example, requirements. */
export function ModelFolder({ path, files, onFile }: ModelFolderProps) {
  const query = useQuery(modelFolderQuery(path));
  const links = (pattern: RegExp) => {
    const found = files.filter((name) => pattern.test(name));
    return (
      found.length > 0 && (
        <span className="row">
          {found.map((name) => (
            <button key={name} type="button" className="button" onClick={() => onFile(name)}>
              {name}
            </button>
          ))}
        </span>
      )
    );
  };
  return (
    <Answer query={query} rows={4}>
      {({ flavors, signature, task, onnx }) => (
        <div className="stack">
          <h3>Model</h3>
          <Facts
            facts={[
              ["flavours", flavors.join(", ")],
              ["task", task],
              ["ONNX", onnx && `opset ${onnx.opset}, ${count(onnx.nodes)} nodes, ${count(onnx.parameters)} parameters`],
              ...PARTS.map(([name, pattern]): [string, React.ReactNode] => [name, links(pattern)]),
            ]}
          />
          {signature ? (
            <div className="halves">
              <Columns columns={signature.inputs} title="Takes" />
              <Columns columns={signature.outputs} title="Gives" />
            </div>
          ) : (
            <p className="muted small">The model has no signature.</p>
          )}
        </div>
      )}
    </Answer>
  );
}

function Columns({ columns, title }: { columns: ModelColumn[]; title: string }) {
  return (
    <div className="stack" style={{ gap: 4 }}>
      <h4 style={{ margin: 0 }}>{title}</h4>
      <DataTable
        label={title}
        rows={columns.map((column, index) => ({ ...column, index }))}
        rowKey={(column) => String(column.index)}
        exportable={false}
        columns={[
          { key: "name", header: "Column", value: (column) => column.name || "not named" },
          { key: "type", header: "Type", value: (column) => column.type },
          { key: "required", header: "Needed", value: (column) => (column.required ? "yes" : "may be absent") },
        ]}
      />
    </div>
  );
}
