import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import type { AssetKey } from "../../api/types.gen";
import { Graph } from "../../charts/graph/Graph";
import { Answer } from "../../ui/Answer";
import { Empty } from "../../ui/Empty";
import { OutsideDataset } from "./OutsideDataset";
import { OutsideJob } from "./OutsideJob";
import { outsideName } from "./outsideName";
import { lineageQuery } from "./queries";

const id = (key: AssetKey) => `${key.kind}:${key.name}@${key.version}`;

/** Jobs and datasets of other systems have their namespace before their name. */
const isOutside = (key: AssetKey) => key.kind === "job" || key.kind === "outside";
const WORDS: Record<string, string> = { job: "outside job", outside: "outside data" };
const shortName = (key: AssetKey) => (isOutside(key) ? outsideName(key.name) : key.name);
const detail = (key: AssetKey) => (key.version > 0 ? `version ${key.version}` : undefined);

interface LineageProps {
  kind: string;
  name: string;
  version: number;
  /** The job or dataset of another system that is shown, as the graph has it: `job:spark/load@0`. */
  node?: string;
  onNode: (node: string | undefined) => void;
}

/** Where a thing comes from and what was made of it. */
export function Lineage({ kind, name, version, node, onNode }: LineageProps) {
  const lineage = useQuery(lineageQuery(kind, name, version));
  const navigate = useNavigate();
  const open = (key: AssetKey | undefined) => {
    if (key && isOutside(key)) onNode(id(key) === node ? undefined : id(key));
    if (key?.kind === "dataset")
      void navigate({ to: "/data/$name", params: { name: key.name }, search: { version: key.version } });
    if (key?.kind === "model")
      void navigate({ to: "/models/$name", params: { name: key.name }, search: { version: key.version } });
    if (key?.kind === "run") void navigate({ to: "/tracked/$run", params: { run: key.name } });
    if (key?.kind === "endpoint") void navigate({ to: "/endpoints/$name", params: { name: key.name } });
  };
  return (
    <Answer query={lineage}>
      {({ nodes, edges, run_names }) => {
        const shown = nodes.find((key) => isOutside(key) && id(key) === node);
        return nodes.length < 2 ? (
          <Empty what="Nothing is known about where this comes from: it was made outside a pipeline." />
        ) : (
          <>
            <Graph
              nodes={nodes.map((key) => ({
                id: id(key),
                name: run_names[key.name] ?? shortName(key),
                kind: WORDS[key.kind] ?? key.kind,
                detail: detail(key),
              }))}
              edges={edges.map((edge) => ({ from: id(edge.from), to: id(edge.to) }))}
              selected={shown ? id(shown) : id({ kind, name, version })}
              onSelect={(chosen) => open(nodes.find((key) => id(key) === chosen))}
              label={`lineage of ${name}`}
            />
            {shown?.kind === "job" && <OutsideJob name={shown.name} />}
            {shown?.kind === "outside" && <OutsideDataset name={shown.name} />}
          </>
        );
      }}
    </Answer>
  );
}
