import type { PipelineSummary } from "../../../api/types.gen";
import { AGES, type RunsSearch } from "../search";

interface RunFiltersProps {
  search: RunsSearch;
  pipelines: PipelineSummary[];
  onChange: (change: Partial<RunsSearch>) => void;
}

const STATUSES = ["running", "queued", "failed", "succeeded", "cancelled"];
const TRIGGERS = ["manual", "cron", "rerun"];

/** What a list of runs is narrowed to; all of it stands in the address. */
export function RunFilters({ search, pipelines, onChange }: RunFiltersProps) {
  const chosen = new Set((search.status ?? "").split(",").filter(Boolean));
  const toggle = (status: string) => {
    const next = new Set(chosen);
    if (!next.delete(status)) next.add(status);
    onChange({ status: [...next].join(",") || undefined });
  };
  return (
    <div className="row">
      <Text value={search.text} onChange={(text) => onChange({ text })} />
      <Choice
        label="Pipeline"
        value={search.pipeline}
        options={pipelines.map(({ name }) => name)}
        onChange={(pipeline) => onChange({ pipeline })}
      />
      <Choice
        label="Started by"
        value={search.trigger}
        options={TRIGGERS}
        onChange={(trigger) => onChange({ trigger })}
      />
      <Choice label="Within" value={search.age} options={Object.keys(AGES)} onChange={(age) => onChange({ age })} />
      <div className="row" role="group" aria-label="status" style={{ gap: 4 }}>
        <button
          type="button"
          className="button"
          aria-pressed={chosen.size === 0}
          onClick={() => onChange({ status: undefined })}
        >
          any
        </button>
        {STATUSES.map((status) => (
          <button
            key={status}
            type="button"
            className="button"
            aria-pressed={chosen.has(status)}
            onClick={() => toggle(status)}
          >
            {status}
          </button>
        ))}
      </div>
    </div>
  );
}

interface ChoiceProps {
  label: string;
  value: string | undefined;
  options: string[];
  onChange: (value: string | undefined) => void;
}

function Choice({ label, value, options, onChange }: ChoiceProps) {
  const all = value && !options.includes(value) ? [...options, value] : options;
  return (
    <label className="row" style={{ gap: 4 }}>
      {label}
      <select className="input" value={value ?? ""} onChange={(event) => onChange(event.target.value || undefined)}>
        <option value="">any</option>
        {all.map((option) => (
          <option key={option}>{option}</option>
        ))}
      </select>
    </label>
  );
}

/** Enter looks for what was typed; emptied by its cross, it looks for everything. */
function Text({ value = "", onChange }: { value: string | undefined; onChange: (value: string | undefined) => void }) {
  return (
    <input
      key={value}
      className="input"
      type="search"
      placeholder="Id, input, problem"
      aria-label="Search runs"
      defaultValue={value}
      onKeyDown={(event) => event.key === "Enter" && onChange(event.currentTarget.value || undefined)}
      onChange={(event) => event.target.value === "" && value !== "" && onChange(undefined)}
    />
  );
}
