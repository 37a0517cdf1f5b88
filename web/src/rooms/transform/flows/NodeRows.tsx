import { useQuery } from "@tanstack/react-query";
import type { FlowNodeView } from "../../../api/types.gen";
import { VirtualTable } from "../../../charts/table/VirtualTable";
import { duration } from "../../../format/duration";
import { plural } from "../../../format/number";
import { Answer } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { Tabs } from "../../../ui/Tabs";
import { useState } from "react";
import { nodeRowsQuery } from "../queries";
import type { Designer } from "./useDesigner";

/** The first rows that a node gives, part by part. They are real: what it needs is run. */
export function NodeRows({ designer, node }: { designer: Designer; node: FlowNodeView }) {
  const ports = node.ports.map(({ name }) => name);
  const [chosen, setChosen] = useState<string | null>(null);
  const port = ports.find((name) => name === chosen) ?? ports[0] ?? node.id;
  const known = node.ports.find(({ name }) => name === port)?.columns.length ?? 0;
  const rows = useQuery(nodeRowsQuery(designer.yaml, port, designer.tables, known > 0 && !designer.busy));
  const body =
    known === 0 ? (
      <p className="muted">
        {node.problem ? "No rows as long as the node is not right." : "No rows as long as what it reads is not right."}
      </p>
    ) : (
      <Answer query={rows} rows={6}>
        {(found) => <VirtualTable columns={found.columns} rows={found.rows} label={`rows of ${port}`} />}
      </Answer>
    );
  return (
    <Card
      title={
        <span aria-live="polite">
          Rows of {port}{" "}
          {rows.data && known > 0 && (
            <span className="muted small">
              {rows.data.truncated ? "the first " : ""}
              {plural(rows.data.rows.length, "row")}, {plural(known, "column")}, {duration(rows.data.elapsed_ms)}
            </span>
          )}
        </span>
      }
    >
      {ports.length > 1 ? (
        <Tabs
          label={`parts of ${node.id}`}
          value={port}
          onChange={setChosen}
          tabs={ports.map((name) => ({ key: name, label: name.slice(node.id.length + 1) }))}
        >
          {body}
        </Tabs>
      ) : (
        body
      )}
    </Card>
  );
}
