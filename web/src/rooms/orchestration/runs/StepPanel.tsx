import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import type { StepView } from "../../../api/types.gen";
import { short } from "../../../format/id";
import { duration } from "../../../format/duration";
import { bytes } from "../../../format/bytes";
import { count, number, percent } from "../../../format/number";
import { instant, span } from "../../../format/time";
import { Card } from "../../../ui/Card";
import { Facts } from "../../../ui/Facts";
import { Failure } from "../../../ui/Failure";
import { Status } from "../../../ui/Status";
import { type Tab, Tabs } from "../../../ui/Tabs";
import { WaitsForApproval } from "../approvals/WaitsForApproval";
import { isOver, whyQuery } from "../queries";
import { AttemptTable } from "./AttemptTable";
import type { RUN_PARTS } from "../search";
import { costWords } from "./cost";
import { ItemsView } from "./items/ItemsView";
import { LogView } from "./log/LogView";
import { ReusedLog } from "./log/ReusedLog";
import { Outputs } from "./Outputs";
import { RerunFrom } from "./RerunFrom";

type Part = (typeof RUN_PARTS)[number];

const OUTPUTS: Tab<Part> = { key: "outputs", label: "Inputs and outputs" };
const TABS: Tab<Part>[] = [OUTPUTS, { key: "log", label: "Log" }, { key: "attempts", label: "Attempts" }];

const TROUBLED = new Set(["failed", "timed_out", "rejected", "retrying", "running"]);

interface StepPanelProps {
  run: string;
  step: StepView;
  now: number;
  /** Whether the run is over. */
  over: boolean;
}

/** Everything about one step of a run. */
export function StepPanel({ run, step, now, over }: StepPanelProps) {
  const search = useSearch({ from: "/runs/$run" });
  const navigate = useNavigate({ from: "/runs/$run" });
  // What is done for many items has their logs and attempts, and none of its own.
  const tabs = step.items ? [{ key: "items" as const, label: `Items (${count(step.items.total)})` }, OUTPUTS] : TABS;
  const usual = step.items ? "items" : TROUBLED.has(step.status) ? "log" : "outputs";
  const part = tabs.find(({ key }) => key === search.part)?.key ?? usual;
  const attempt = search.attempt ?? step.attempts.at(-1)?.attempt ?? 1;
  return (
    <Card
      title={
        <span className="row">
          {step.id} <span className="muted">{step.kind}</span> <Status status={step.status} />
        </span>
      }
      actions={
        <>
          {over && <RerunFrom run={run} step={step.id} />}
          {(step.kind === "approve" || step.kind === "deploy") && <WaitsForApproval run={run} step={step.id} />}
          {step.sub_run && (
            <Link to="/runs/$run" params={{ run: step.sub_run }} className="button">
              Called run
            </Link>
          )}
          {step.tracking_run_id && (
            <Link to="/tracked/$run" params={{ run: step.tracking_run_id }} className="button">
              Tracked run
            </Link>
          )}
        </>
      }
    >
      <div className="stack">
        {step.problem && <Failure problem={step.problem} />}
        <StepFacts run={run} step={step} now={now} />
        <Tabs
          tabs={tabs}
          value={part}
          onChange={(next) => void navigate({ search: { ...search, step: step.id, part: next }, replace: true })}
          label="parts of the step"
        >
          {part === "items" && step.items && <ItemsView run={run} step={step} items={step.items} now={now} />}
          {part === "log" && step.cached_from && (
            <ReusedLog run={step.cached_from} step={step.id} attempt={search.attempt} />
          )}
          {part === "log" && !step.cached_from && (
            <LogView
              key={`${run} ${step.id} ${attempt}`}
              run={run}
              step={step.id}
              attempt={attempt}
              failed={failedIn(step, attempt)}
            />
          )}
          {part === "outputs" && <Outputs run={run} step={step} />}
          {part === "attempts" && <AttemptTable attempts={step.attempts} now={now} />}
        </Tabs>
      </div>
    </Card>
  );
}

function failedIn(step: StepView, attempt: number): boolean {
  const status = step.attempts.find((entry) => entry.attempt === attempt)?.status;
  return status === "failed" || status === "timed_out";
}

function StepFacts({ run, step, now }: { run: string; step: StepView; now: number }) {
  // What a step waits for is asked of the store only for the one that is looked at.
  const waits = useQuery({ ...whyQuery(run), enabled: !isOver(step.status) && step.status !== "running" });
  const why = waits.data?.find((entry) => entry.step === step.id)?.why ?? step.why;
  const ready = instant(step.ready_at);
  const started = instant(step.started_at);
  const progress = step.status === "running" ? step.progress : null;
  return (
    <Facts
      facts={[
        ["took", step.started_at && span(step.started_at, step.ended_at, now)],
        ["queued", ready !== null && started !== null ? duration(started - ready) : null],
        ["used", costWords(step.cost)],
        ["rows", step.rows === null ? null : count(step.rows)],
        ["bytes", step.bytes === null ? null : bytes(step.bytes)],
        [
          "progress",
          progress &&
            [progress.fraction === null ? null : percent(progress.fraction), progress.message]
              .filter(Boolean)
              .join(", "),
        ],
        [
          "reused from",
          step.cached_from && (
            <Link
              key="run"
              to="/runs/$run"
              params={{ run: step.cached_from }}
              search={{ step: step.id }}
              className="mono"
            >
              {short(step.cached_from)}
            </Link>
          ),
        ],
        ["why", why.length > 0 ? why.join("; ") : null],
        [
          "metrics",
          Object.entries(step.metrics).length > 0 &&
            Object.entries(step.metrics)
              .map(([name, value]) => `${name} ${number(value)}`)
              .join(", "),
        ],
      ]}
    />
  );
}
