import { useQuery } from "@tanstack/react-query";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import type { RunComparison } from "../../../api/types.gen";
import { short } from "../../../format/id";
import { Answer } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { PageHead } from "../../../ui/PageHead";
import { Tabs } from "../../../ui/Tabs";
import { TextDiff } from "../../../ui/TextDiff";
import { comparisonQuery, runQuery, runsQuery } from "../queries";
import type { CompareTab } from "../search";
import { OverRuns } from "./OverRuns";
import { StepPairs } from "./StepPairs";
import { ValuePairs } from "./ValuePairs";

const TABS: { key: CompareTab; label: string }[] = [
  { key: "steps", label: "Steps" },
  { key: "values", label: "Inputs and outputs" },
  { key: "definition", label: "Definition" },
];

/** A run beside another one of its pipeline, or of any other. */
export function ComparePage() {
  const { run } = useParams({ from: "/runs/$run/compare" });
  const search = useSearch({ from: "/runs/$run/compare" });
  const first = useQuery(runQuery(run));
  const pipeline = first.data?.run.pipeline;
  const others = useQuery({ ...runsQuery({ pipeline, limit: 50 }), enabled: pipeline !== undefined });
  const before = (others.data?.runs ?? []).filter((other) => other.id !== run);
  const made = first.data?.run.created_at ?? "";
  // The run before this one, unless another was chosen; of the first run, the next one.
  const other = search.with ?? (before.find((entry) => entry.created_at < made) ?? before.at(-1))?.id;
  return (
    <>
      <PageHead
        title={
          <>
            Compare <span className="mono muted">{short(run)}</span>
          </>
        }
        about={pipeline && `A run of ${pipeline} beside another one.`}
        actions={<OverRuns runs={before} value={other} />}
      />
      {other ? (
        <Compared a={run} b={other} />
      ) : (
        <Answer query={others} rows={4}>
          {() => <p className="muted">There is no other run of this pipeline yet.</p>}
        </Answer>
      )}
    </>
  );
}

function Compared({ a, b }: { a: string; b: string }) {
  const query = useQuery(comparisonQuery(a, b));
  const search = useSearch({ from: "/runs/$run/compare" });
  const navigate = useNavigate({ from: "/runs/$run/compare" });
  return (
    <Answer query={query} rows={8}>
      {(view) => (
        <Tabs
          tabs={TABS}
          value={search.tab ?? "steps"}
          onChange={(tab) => void navigate({ search: { ...search, tab }, replace: true })}
          label="parts of the comparison"
        >
          <Part view={view} tab={search.tab ?? "steps"} />
        </Tabs>
      )}
    </Answer>
  );
}

function Part({ view, tab }: { view: RunComparison; tab: CompareTab }) {
  if (tab === "values") return <ValuePairs view={view} />;
  if (tab === "steps") return <StepPairs view={view} />;
  return (
    <Card title="Definition">
      {view.definition_a === view.definition_b ? (
        <p className="muted">Both runs began with the same definition.</p>
      ) : (
        <TextDiff
          before={view.definition_b}
          after={view.definition_a}
          label={`definition of ${short(view.b.id)}, then of ${short(view.a.id)}`}
        />
      )}
    </Card>
  );
}
