import "./copy.css";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { Answer } from "../../../ui/Answer";
import { Card } from "../../../ui/Card";
import { PageHead } from "../../../ui/PageHead";
import { Tabs } from "../../../ui/Tabs";
import type { Schema } from "../../../forms/schema/shape";
import { copySchemaQuery } from "../queries";
import { COPY_STEPS, type CopyStep } from "../search";
import { ColumnsStep } from "./ColumnsStep";
import { type CopyConfig, readConfig } from "./config";
import { DestinationStep } from "./DestinationStep";
import { ReviewStep } from "./ReviewStep";
import { SourceStep } from "./SourceStep";

const WORDS: Record<CopyStep, string> = {
  source: "1. Source",
  columns: "2. Columns",
  destination: "3. Destination",
  review: "4. Review and run",
};

export interface CopyStepProps {
  config: CopyConfig;
  schema: Schema;
  onChange: (config: CopyConfig) => void;
}

/** A table copied from one place to another, step by step; what was chosen stands in the address. */
export function CopyPage() {
  const search = useSearch({ from: "/copy" });
  const navigate = useNavigate({ from: "/copy" });
  const schema = useQuery(copySchemaQuery());
  const config = readConfig(search.copy);
  const step = search.step ?? "source";
  const go = (next: CopyStep) =>
    void navigate({
      search: (before) => ({ ...before, step: next === "source" ? undefined : next }),
      resetScroll: false,
    });
  const change = (next: CopyConfig) =>
    void navigate({
      search: (before) => ({ step: before.step, copy: JSON.stringify(next) }),
      replace: true,
      resetScroll: false,
    });
  const at = COPY_STEPS.indexOf(step);
  const [back, next] = [COPY_STEPS[at - 1], COPY_STEPS[at + 1]];
  const ready = { source: Boolean(config.from), columns: true, destination: Boolean(config.to), review: false }[step];
  return (
    <>
      <PageHead
        title="Copy"
        about="A table from files, a database or a dataset to another place, whole or not at all."
      />
      <Card>
        <Tabs label="steps" value={step} onChange={go} tabs={COPY_STEPS.map((key) => ({ key, label: WORDS[key] }))}>
          <Answer query={schema} rows={8}>
            {(found) => {
              const props = { config, schema: found as Schema, onChange: change };
              return (
                <div className="stack" style={{ paddingTop: 12 }}>
                  {step === "source" && <SourceStep {...props} />}
                  {step === "columns" && <ColumnsStep {...props} />}
                  {step === "destination" && <DestinationStep {...props} />}
                  {step === "review" && (
                    <ReviewStep
                      config={config}
                      run={search.run}
                      onRun={(run) => void navigate({ search: (before) => ({ ...before, run }), resetScroll: false })}
                    />
                  )}
                </div>
              );
            }}
          </Answer>
          <div className="row">
            {back && (
              <button type="button" className="button" onClick={() => go(back)}>
                Back
              </button>
            )}
            {next && (
              <button type="button" className="button primary" disabled={!ready} onClick={() => go(next)}>
                Next
              </button>
            )}
          </div>
        </Tabs>
      </Card>
    </>
  );
}
