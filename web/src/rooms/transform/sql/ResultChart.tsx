import { useMemo } from "react";
import type { TablePreview } from "../../../api/types.gen";
import { SeriesChart } from "../../../charts/series/SeriesChart";
import { CHARTS, type SqlSearch } from "../search";
import { chartFields, isNumeric } from "./chartFields";

interface ResultChartProps {
  table: TablePreview;
  search: SqlSearch;
  onChange: (next: SqlSearch) => void;
}

/** Numbers that can be chosen; a table of more is drawn better by a query that names them. */
const MOST_NUMBERS = 20;

const WORDS = { line: "Line", bar: "Bar", scatter: "Scatter" };

/** The answer to a query as lines, bars or dots. */
export function ResultChart({ table, search, onChange }: ResultChartProps) {
  const { columns } = table;
  const fields = useMemo(() => chartFields(columns, search), [columns, search]);
  if (!fields) return <p className="muted">There is no number in the answer that could be drawn.</p>;
  const numbers = columns.filter(isNumeric);
  const toggle = (name: string) => {
    const chosen = fields.y.includes(name) ? fields.y.filter((entry) => entry !== name) : [...fields.y, name];
    if (chosen.length > 0) onChange({ y: chosen.join(",") });
  };
  return (
    <div className="stack" style={{ paddingTop: 10 }}>
      <div className="row" style={{ columnGap: 16 }}>
        <span className="row" role="group" aria-label="kind of chart">
          {CHARTS.map((chart) => (
            <button
              key={chart}
              type="button"
              className="button"
              aria-pressed={fields.kind === chart}
              onClick={() => onChange({ chart })}
            >
              {WORDS[chart]}
            </button>
          ))}
        </span>
        <Choice
          label="across"
          value={fields.x}
          names={columns.map((column) => column.name)}
          onChange={(name) => onChange({ x: name })}
        />
        <Choice
          label="series by"
          value={fields.by ?? ""}
          none="no column"
          names={columns.map((column) => column.name)}
          onChange={(name) => onChange({ by: name || undefined })}
        />
        <span className="row small" role="group" aria-label="up">
          <span className="muted">up</span>
          {numbers.slice(0, MOST_NUMBERS).map(({ name }) => (
            <label key={name} className="row" style={{ gap: 4 }}>
              <input type="checkbox" checked={fields.y.includes(name)} onChange={() => toggle(name)} />
              {name}
            </label>
          ))}
        </span>
      </div>
      <SeriesChart table={table} look={fields} />
    </div>
  );
}

interface ChoiceProps {
  label: string;
  value: string;
  names: readonly string[];
  none?: string;
  onChange: (name: string) => void;
}

function Choice({ label, value, names, none, onChange }: ChoiceProps) {
  return (
    <label className="row small" style={{ gap: 6 }}>
      <span className="muted">{label}</span>
      <select className="input" value={value} onChange={(event) => onChange(event.target.value)}>
        {none && <option value="">{none}</option>}
        {names.map((name) => (
          <option key={name}>{name}</option>
        ))}
      </select>
    </label>
  );
}
