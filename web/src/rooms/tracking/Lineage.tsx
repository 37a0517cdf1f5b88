import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import type { AssetKey } from "../../api/types.gen";
import { Graph } from "../../charts/graph/Graph";
import { Answer } from "../../ui/Answer";
import { Empty } from "../../ui/Empty";
import { lineageQuery } from "./queries";

const id = (key: AssetKey) => `${key.kind}:${key.name}@${key.version}`;

/** Where a thing comes from and what was made of it. */
export function Lineage({ kind, name, version }: { kind: string; name: string; version: number }) {
  const lineage = useQuery(lineageQuery(kind, name, version));
  const navigate = useNavigate();
  const open = (key: AssetKey | undefined) => {
    if (key?.kind === "dataset")
      void navigate({ to: "/data/$name", params: { name: key.name }, search: { version: key.version } });
    if (key?.kind === "model")
      void navigate({ to: "/models/$name", params: { name: key.name }, search: { version: key.version } });
    if (key?.kind === "run") void navigate({ to: "/tracked/$run", params: { run: key.name } });
    if (key?.kind === "endpoint") void navigate({ to: "/endpoints/$name", params: { name: key.name } });
  };
  return (
    <Answer query={lineage}>
      {({ nodes, edges, run_names }) =>
        nodes.length < 2 ? (
          <Empty what="Nothing is known about where this comes from: it was made outside a pipeline." />
        ) : (
          <Graph
            nodes={nodes.map((key) => ({
              id: id(key),
              name: run_names[key.name] ?? key.name,
              kind: key.kind,
              detail: key.version > 0 ? `version ${key.version}` : undefined,
            }))}
            edges={edges.map((edge) => ({ from: id(edge.from), to: id(edge.to) }))}
            selected={id({ kind, name, version })}
            onSelect={(chosen) => open(nodes.find((key) => id(key) === chosen))}
            label={`lineage of ${name}`}
          />
        )
      }
    </Answer>
  );
}
