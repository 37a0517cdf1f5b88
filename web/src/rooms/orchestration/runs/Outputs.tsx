import type { Json, StepView } from "../../../api/types.gen";
import { number } from "../../../format/number";
import { value } from "../../../format/value";
import { assetOf } from "./asset";
import { AssetValue } from "./AssetValue";
import { OutputPreview } from "./OutputPreview";

/** What a step was given and what it made, with a picture or rows of what can be shown. */
export function Outputs({ run, step }: { run: string; step: StepView }) {
  const outputs = Object.entries(step.outputs);
  return (
    <div className="stack">
      <Values title="Inputs" values={step.inputs} none="No inputs." />
      <Values title="Outputs" values={step.outputs} none="Nothing yet." />
      {outputs.map(([name, given]) => {
        const asset = assetOf(given);
        return asset && <OutputPreview key={name} run={run} step={step.id} output={name} asset={asset} />;
      })}
    </div>
  );
}

function Values({ title, values, none }: { title: string; values: { [key: string]: Json }; none: string }) {
  const entries = Object.entries(values);
  return (
    <div>
      <h3>{title}</h3>
      {entries.length === 0 ? (
        <p className="muted small">{none}</p>
      ) : (
        <dl className="facts">
          {entries.map(([name, given]) => (
            <div key={name} style={{ display: "contents" }}>
              <dt>{name}</dt>
              <dd>{asset(given) ?? numbers(given) ?? <span className="mono">{value(given)}</span>}</dd>
            </div>
          ))}
        </dl>
      )}
    </div>
  );
}

/** Metrics as words, `auc 0.7412, f1 0.412`. */
function numbers(given: Json): string | null {
  if (typeof given !== "object" || given === null || Array.isArray(given)) return null;
  const entries = Object.entries(given).filter((entry): entry is [string, number] => typeof entry[1] === "number");
  if (entries.length === 0 || entries.length < Object.keys(given).length) return null;
  return entries.map(([name, measured]) => `${name} ${number(measured)}`).join(", ");
}

function asset(given: Json) {
  const found = assetOf(given);
  return found && <AssetValue asset={found} />;
}
