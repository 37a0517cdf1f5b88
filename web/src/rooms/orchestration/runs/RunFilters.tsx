import type { PipelineSummary } from "../../../api/types.gen";
import { short } from "../../../format/id";
import { AGES, type RunsSearch } from "../search";
import { causeGroups } from "./causes";

interface RunFiltersProps {
  search: RunsSearch;
  pipelines: PipelineSummary[];
  /** What started the runs that are shown. */
  seen: string[];
  onChange: (change: Partial<RunsSearch>) => void;
}

const STATUSES = ["running", "queued", "failed", "succeeded", "cancelled"];

/** What a list of runs is narrowed to; all of it stands in the address. */
export function RunFilters({ search, pipelines, seen, onChange }: RunFiltersProps) {
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
      <StartedBy value={search.trigger} seen={seen} onChange={(trigger) => onChange({ trigger })} />
      <Choice label="Within" value={search.age} options={Object.keys(AGES)} onChange={(age) => onChange({ age })} />
      {search.parent ? (
        <button
          type="button"
          className="button"
          aria-label="not only the runs that one run called"
          onClick={() => onChange({ parent: undefined, step: undefined })}
        >
          called by {search.step} of <span className="mono">{short(search.parent)}</span> <span aria-hidden>×</span>
        </button>
      ) : (
        <label className="row small">
          <input
            type="checkbox"
            checked={search.all === true}
            onChange={(event) => onChange({ all: event.target.checked ? true : undefined })}
          />{" "}
          called runs, too
        </label>
      )}
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

interface StartedByProps {
  value: string | undefined;
  seen: string[];
  onChange: (value: string | undefined) => void;
}

/** Everything that starts runs, by what kind of thing it is. */
function StartedBy({ value, seen, onChange }: StartedByProps) {
  const groups = causeGroups(seen);
  const known = groups.some(({ options }) => options.some((option) => option.value === value));
  return (
    <label className="row" style={{ gap: 4 }}>
      Started by
      <select className="input" value={value ?? ""} onChange={(event) => onChange(event.target.value || undefined)}>
        <option value="">any</option>
        {groups.map(({ label, options }) => (
          <optgroup key={label} label={label}>
            {options.map((option) => (
              <option key={option.value} value={option.value}>
                {option.label}
              </option>
            ))}
          </optgroup>
        ))}
        {value && !known && <option>{value}</option>}
      </select>
    </label>
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
