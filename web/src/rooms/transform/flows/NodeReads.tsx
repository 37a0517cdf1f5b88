import IconX from "@tabler/icons-react/dist/esm/icons/IconX.mjs";
import type { FlowModel, FlowNodeView } from "../../../api/types.gen";
import { closesCircle, ownerOf } from "./graph";
import type { Gestures } from "./useGestures";

interface NodeReadsProps {
  node: FlowNodeView;
  model: FlowModel;
  reads: string;
  gestures: Gestures;
}

/** What a node reads, without a mouse. */
export function NodeReads({ node, model, reads, gestures }: NodeReadsProps) {
  const ids = new Set(model.nodes.map(({ id }) => id));
  const ports = model.nodes.flatMap(({ id, ports: given }) =>
    given.length > 0 ? given.map(({ name }) => name) : [id],
  );
  const free = ports.filter(
    (port) => !node.from.includes(port) && !closesCircle(model.nodes, ownerOf(ids, port), node.id),
  );
  const most = reads === "one" ? 1 : reads === "two" ? 2 : Infinity;
  const put = (at: number, port: string) =>
    gestures.read(node.id, port === "" ? node.from.filter((_, index) => index !== at) : node.from.with(at, port));
  return (
    <div className="field" role="group" aria-label="reads">
      <span className="label" aria-hidden>
        Reads
      </span>
      {node.from.map((port, at) => (
        <div className="form-line" key={port}>
          <select
            className="input"
            aria-label={reads === "two" ? (at === 0 ? "left" : "right") : `reads, ${at + 1}`}
            value={port}
            onChange={(event) => put(at, event.target.value)}
          >
            {[port, ...free].map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
          <button
            type="button"
            className="button quiet icon"
            aria-label={`Do not read ${port}`}
            onClick={() => put(at, "")}
          >
            <IconX size={14} aria-hidden />
          </button>
        </div>
      ))}
      {node.from.length < most && free.length > 0 && (
        <select
          className="input"
          aria-label="read another node"
          value=""
          onChange={(event) => gestures.read(node.id, [...node.from, event.target.value])}
        >
          <option value="">Read a node…</option>
          {free.map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      )}
    </div>
  );
}
