import { useMemo, useState } from "react";
import { shellWord } from "../../../format/shell";
import { Card } from "../../../ui/Card";
import type { Mark } from "../../../ui/code/Editor";
import { CodeView } from "../../../ui/CodeView";
import { Command } from "../../../ui/Command";
import { CopyButton } from "../../../ui/CopyButton";
import type { SqlSearch } from "../search";
import { HistoryList } from "./HistoryList";
import { marksOf } from "./marks";
import { ParamFields } from "./ParamFields";
import { paramCount, paramsOf } from "./params";
import { type Sql, USUAL_ROWS, USUAL_SECONDS } from "./useSql";

interface QueryCardProps {
  text: string;
  names: Record<string, string[]>;
  search: SqlSearch;
  sql: Sql;
  onText: (text: string) => void;
  onChange: (next: SqlSearch) => void;
  onPast: (query: string) => void;
}

const ROWS = [100, 1000, 10_000];
const SECONDS = [10, 30, 110];
const NO_MARKS: Mark[] = [];

/** The text of a query, the values it binds, its limits, and what runs and stops it. */
export function QueryCard({ text, names, search, sql, onText, onChange, onPast }: QueryCardProps) {
  const [typed, setTyped] = useState<string[] | null>(null);
  const [past, setPast] = useState(false);
  const count = paramCount(text);
  const given = typed ?? paramsOf(search.params);
  const values = Array.from({ length: count }, (_, at) => given[at] ?? "");
  const { isFetching, error } = sql.query;
  const marks = useMemo(() => (text === search.q ? marksOf(error, text) : NO_MARKS), [error, text, search.q]);
  const run = () => sql.run(text, values);
  const words = values.map((value) => ` --param ${shellWord(value)}`).join("");
  return (
    <Card
      title="Query"
      actions={
        <>
          <Limit
            label="rows at most"
            unit="rows"
            choices={ROWS}
            value={search.rows ?? USUAL_ROWS}
            onChange={(rows) => onChange({ rows: rows === USUAL_ROWS ? undefined : rows })}
          />
          <Limit
            label="time at most"
            unit="s"
            choices={SECONDS}
            value={search.seconds ?? USUAL_SECONDS}
            onChange={(seconds) => onChange({ seconds: seconds === USUAL_SECONDS ? undefined : seconds })}
          />
          <button type="button" className="button" aria-expanded={past} onClick={() => setPast(!past)}>
            History
          </button>
          {search.q && (
            <CopyButton text={location.href} label="Copy the address of the query that was run" word="Link" />
          )}
          {isFetching ? (
            <button type="button" className="button" onClick={sql.stop}>
              Stop
            </button>
          ) : (
            <button type="button" className="button primary" onClick={run}>
              Run
            </button>
          )}
        </>
      }
    >
      <div className="stack">
        {past && (
          <HistoryList
            history={sql.history}
            onForget={sql.forget}
            onPick={(query) => {
              setPast(false);
              setTyped(null);
              onPast(query);
            }}
          />
        )}
        <div className="sql-editor">
          <CodeView
            text={text}
            language="sql"
            label="SQL, Ctrl-Enter runs it"
            names={names}
            marks={marks}
            onChange={onText}
            onSubmit={run}
          />
        </div>
        {count > 0 && <ParamFields values={values} onChange={setTyped} onSubmit={run} />}
        <Command line={`millrace sql ${shellWord(text.trim())}${words}`} />
      </div>
    </Card>
  );
}

interface LimitProps {
  label: string;
  unit: string;
  choices: readonly number[];
  value: number;
  onChange: (value: number) => void;
}

function Limit({ label, unit, choices, value, onChange }: LimitProps) {
  const all = choices.includes(value) ? choices : [...choices, value].toSorted((a, b) => a - b);
  return (
    <select
      className="input"
      aria-label={label}
      value={value}
      onChange={(event) => onChange(Number(event.target.value))}
    >
      {all.map((choice) => (
        <option key={choice} value={choice}>
          {choice.toLocaleString("en")} {unit}
        </option>
      ))}
    </select>
  );
}
