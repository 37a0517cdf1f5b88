import IconX from "@tabler/icons-react/dist/esm/icons/IconX.mjs";
import { useState } from "react";
import type { Designer } from "./useDesigner";

/** The tables that the flow gives, each with the node that it is. */
export function OutputsField({ designer }: { designer: Designer }) {
  const { model, edit } = designer;
  const [name, setName] = useState("");
  const outputs = Object.entries(model.outputs).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const ports = model.nodes.flatMap(({ id, ports: given }) =>
    given.length > 0 ? given.map((port) => port.name) : [id],
  );
  const put = (next: [string, string][]) => void edit([{ op: "output", outputs: Object.fromEntries(next) }]);
  const last = ports.at(-1);
  return (
    <div className="stack" style={{ gap: 6 }}>
      {outputs.map(([key, port]) => (
        <div className="form-line" key={key}>
          <span className="mono form-name clip">{key}</span>
          <select
            className="input"
            aria-label={`node of ${key}`}
            value={port}
            onChange={(event) => put(outputs.map(([old, kept]) => [old, old === key ? event.target.value : kept]))}
          >
            {(ports.includes(port) ? ports : [port, ...ports]).map((one) => (
              <option key={one}>{one}</option>
            ))}
          </select>
          <button
            type="button"
            className="button quiet icon"
            aria-label={`Do not give ${key}`}
            onClick={() => put(outputs.filter(([old]) => old !== key))}
          >
            <IconX size={14} aria-hidden />
          </button>
        </div>
      ))}
      {!model.names_outputs && outputs.length > 0 && (
        <p className="muted small">No output is written down: it is the node that no other reads.</p>
      )}
      {last && (
        <div className="form-line">
          <input
            className="input"
            aria-label="name of another output"
            placeholder={outputs.length === 0 ? "data" : "name"}
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
          <button
            type="button"
            className="button small"
            onClick={() => {
              put([...outputs, [name.trim() || "data", last]]);
              setName("");
            }}
          >
            Add
          </button>
        </div>
      )}
    </div>
  );
}
