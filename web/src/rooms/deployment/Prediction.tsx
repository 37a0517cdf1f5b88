import { number, percent } from "../../format/number";
import { value } from "../../format/value";
import { Disclosure } from "../../ui/Disclosure";

/** The first row of an answer: the prediction large, probabilities as bars. */
export function Prediction({ answer }: { answer: unknown }) {
  const { probabilities, ...others } = firstRow(answer);
  const shares = Object.entries(probabilities ?? {}).filter(
    (entry): entry is [string, number] => typeof entry[1] === "number",
  );
  return (
    <div className="stack" style={{ gap: 8 }}>
      {Object.entries(others).map(([name, given]) => (
        <div key={name}>
          <div className="small muted">{name}</div>
          <div className="figure">{typeof given === "number" ? number(given) : value(given)}</div>
        </div>
      ))}
      {shares.map(([name, share]) => (
        <div key={name} className="row" style={{ flexWrap: "nowrap" }}>
          <span style={{ width: 140 }} className="small">
            {name}
          </span>
          <span style={{ flex: 1, height: 12, background: "var(--line)", borderRadius: 2 }}>
            <span
              style={{
                display: "block",
                width: `${share * 100}%`,
                height: 12,
                background: "var(--accent)",
                borderRadius: 2,
              }}
            />
          </span>
          <span style={{ width: 64 }} className="num">
            {percent(share)}
          </span>
        </div>
      ))}
      <Disclosure summary="Whole answer">
        <pre className="code" tabIndex={0} aria-label="answer">
          {JSON.stringify(answer, null, 2)}
        </pre>
      </Disclosure>
    </div>
  );
}

/** The first prediction of `{"predictions": [{"prediction", "probabilities"}]}`; anything else is shown as it is. */
function firstRow(answer: unknown): Record<string, unknown> {
  const list = (answer as { predictions?: unknown } | null)?.predictions;
  const row: unknown = Array.isArray(list) ? list[0] : answer;
  return typeof row === "object" && row !== null ? (row as Record<string, unknown>) : { prediction: row };
}
