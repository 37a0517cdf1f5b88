import type { OnnxPort, OnnxView } from "../../../api/types.gen";
import { Bars } from "../../../charts/bars/Bars";
import { count } from "../../../format/number";
import { Card } from "../../../ui/Card";
import { Facts } from "../../../ui/Facts";

/** What is inside a graph: who wrote it, what it takes and gives, and its operators. */
export function OnnxCard({ onnx }: { onnx: OnnxView }) {
  return (
    <Card title="ONNX">
      <div className="stack">
        <Facts
          facts={[
            ["producer", onnx.producer],
            ["IR version", onnx.ir_version],
            ["opset", onnx.opset],
            ["nodes", count(onnx.nodes)],
            ["parameters", count(onnx.parameters)],
            ["inputs", <Ports key="inputs" ports={onnx.inputs} />],
            ["outputs", <Ports key="outputs" ports={onnx.outputs} />],
          ]}
        />
        <Bars title="Operators" bars={Object.entries(onnx.operators).map(([name, value]) => ({ name, value }))} />
      </div>
    </Card>
  );
}

function Ports({ ports }: { ports: OnnxPort[] }) {
  return (
    <>
      {ports.map((port) => (
        <div key={port.name} className="mono">
          {port.name}: {port.element}
          {port.shape.length > 0 && `[${port.shape.join(", ")}]`}
        </div>
      ))}
    </>
  );
}
