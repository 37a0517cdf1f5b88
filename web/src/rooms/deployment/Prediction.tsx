import { number, percent } from "../../format/number";
import { value } from "../../format/value";
import { Disclosure } from "../../ui/Disclosure";

/** The first row of an answer: the prediction large, probabilities as bars. */
export function Prediction({ answer }: { answer: unknown }) {
  const row = firstRow(answer);
  const shares = Object.entries(row).filter(
    (entry): entry is [string, number] => entry[0].startsWith("probability") && typeof entry[1] === "number",
  );
  const others = Object.entries(row).filter(([name]) => !name.startsWith("probability"));
  return (
    <div className="stack" style={{ gap: 8 }}>
      {others.map(([name, given]) => (
        <div key={name}>
          <div className="small muted">{name}</div>
          <div className="figure">{typeof given === "number" ? number(given) : value(given)}</div>
        </div>
      ))}
      {shares.map(([name, share]) => (
        <div key={name} className="row" style={{ flexWrap: "nowrap" }}>
          <span style={{ width: 140 }} className="small">
            {name.replace(/^probability_?/, "") || name}
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

/** The first prediction of an answer, in whichever of the known shapes it came. */
export function firstRow(answer: unknown): Record<string, unknown> {
  const doc = typeof answer === "object" && answer !== null ? (answer as Record<string, unknown>) : {};
  const list = [answer, doc.predictions, doc.rows, doc.outputs].find(Array.isArray) as unknown[] | undefined;
  const row = list ? list[0] : answer;
  if (typeof row === "object" && row !== null && !Array.isArray(row)) return row as Record<string, unknown>;
  return { prediction: row };
}
