import { useQuery } from "@tanstack/react-query";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useRef, useState } from "react";
import type { RunView } from "../../../api/types.gen";
import { duration } from "../../../format/duration";
import { Answer } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { CodeView } from "../../../ui/CodeView";
import { Source } from "../../../ui/Source";
import { Tabs } from "../../../ui/Tabs";
import { useNow } from "../../../ui/useNow";
import { Gantt } from "../../../charts/gantt/Gantt";
import { Graph } from "../../../charts/graph/Graph";
import { isOver, runQuery } from "../queries";
import type { RunTab } from "../search";
import { edgesOf, ganttOf, interestingStep, nodesOf } from "./model";
import { RunHead } from "./RunHead";
import { useGanttItems } from "./items/useGanttItems";
import { StepPanel } from "./StepPanel";
import { StepTable } from "./StepTable";
import { short } from "../../../format/id";

export function RunPage() {
  const { run } = useParams({ from: "/runs/$run" });
  const query = useQuery({
    ...runQuery(run),
    refetchInterval: ({ state }) => (state.data && !isOver(state.data.run.status) ? 2000 : false),
  });
  return (
    <Answer query={query} rows={8}>
      {(view) => <RunBody view={view} />}
    </Answer>
  );
}

const TABS: { key: RunTab; label: string }[] = [
  { key: "graph", label: "Graph" },
  { key: "timeline", label: "Timeline" },
  { key: "steps", label: "Steps" },
  { key: "definition", label: "Definition" },
];

function RunBody({ view }: { view: RunView }) {
  const search = useSearch({ from: "/runs/$run" });
  const navigate = useNavigate({ from: "/runs/$run" });
  const now = useNow(!isOver(view.run.status));
  const { tab = "graph" } = search;
  const chosen = search.step ?? interestingStep(view.steps);
  const step = view.steps.find((entry) => entry.id === chosen);
  const panel = useRef<HTMLDivElement>(null);
  const [opened, setOpened] = useState<string | null>(null);
  const items = useGanttItems(view, opened);
  const choose = (name: string) => {
    // An item of a step, as the timeline shows it: `score[3]`.
    const [, id = name, index] = /^(.+)\[(\d+)\]$/.exec(name) ?? [];
    const item = index === undefined ? undefined : Number(index);
    void navigate({
      search: {
        ...search,
        step: id,
        item,
        part: item === undefined ? search.part : "items",
        state: undefined,
        attempt: undefined,
        line: undefined,
      },
      replace: true,
      resetScroll: false,
    });
    show(panel.current);
  };
  return (
    <>
      <RunHead view={view} now={now} />
      <Tabs
        tabs={TABS}
        value={tab}
        onChange={(next) => void navigate({ search: { ...search, tab: next }, replace: true })}
        label="views of the run"
      >
        <Card flush={tab !== "timeline"} title={undefined}>
          {tab === "graph" && (
            <Graph
              nodes={nodesOf(view.steps)}
              edges={edgesOf(view.steps)}
              selected={chosen}
              onSelect={choose}
              label={`steps of run ${short(view.run.id)}`}
            />
          )}
          {tab === "timeline" && (
            <Gantt
              steps={ganttOf(view.steps, view.critical_path.steps)}
              now={now}
              note={`critical path: ${duration(view.critical_path.worked_ms)} of work, ${duration(view.critical_path.queued_ms)} of waiting for slots`}
              selected={search.item === undefined ? chosen : `${chosen}[${search.item}]`}
              onSelect={choose}
              open={items}
              onOpen={(id) => setOpened((before) => (before === id ? null : id))}
            />
          )}
          {tab === "steps" && <StepTable steps={view.steps} now={now} selected={chosen} onSelect={choose} />}
          {tab === "definition" && (
            <CodeView text={view.definition} language="yaml" label={`the definition that this run began with`} />
          )}
        </Card>
      </Tabs>
      <div ref={panel}>
        {step && <StepPanel key={step.id} run={view.run.id} step={step} now={now} over={isOver(view.run.status)} />}
      </div>
      <Source cli={view.command} json={view} />
    </>
  );
}

/** Brings what was chosen into the lower part of the window, if it is below it: the picture stays in sight. */
function show(panel: HTMLElement | null) {
  const top = panel?.getBoundingClientRect().top ?? 0;
  const below = top - window.innerHeight * 0.6;
  if (below > 0) window.scrollBy({ top: below });
}
