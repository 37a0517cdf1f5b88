import { Link } from "@tanstack/react-router";
import type { Json, StepView } from "../../../api/types.gen";
import { bytes } from "../../../format/bytes";
import { count, number } from "../../../format/number";
import { value } from "../../../format/value";
import { type AssetRef, assetOf } from "./asset";
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
  if (!found) return null;
  return (
    <span className="row">
      <span className="tag">{found.asset}</span>
      <AssetName asset={found} />
      <span className="muted small">
        {[found.rows ? `${count(found.rows)} rows` : null, found.size_bytes ? bytes(found.size_bytes) : null]
          .filter(Boolean)
          .join(", ")}
      </span>
    </span>
  );
}

function AssetName({ asset: { asset: kind, name, version, uri } }: { asset: AssetRef }) {
  const label = name ? `${name}${version ? `@${version}` : ""}` : (uri.split("/").findLast(Boolean) ?? uri);
  if (name && kind === "table") {
    return (
      <Link to="/data/$name" params={{ name }} search={{ version }}>
        {label}
      </Link>
    );
  }
  if (name && kind === "model") {
    return (
      <Link to="/models/$name" params={{ name }} search={{ version }}>
        {label}
      </Link>
    );
  }
  return (
    <span className="mono" title={uri}>
      {label}
    </span>
  );
}
