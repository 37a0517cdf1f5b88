import type { TrackedRunPage } from "../../../api/types.gen";
import { allColumns, type RunColumn } from "./columns";

interface ColumnChooserProps {
  page: TrackedRunPage;
  shown: RunColumn[];
  onChange: (keys: string[]) => void;
}

/** Which metrics and parameters are columns; the choice is kept in the address. */
export function ColumnChooser({ page, shown, onChange }: ColumnChooserProps) {
  const keys = shown.map((column) => column.key);
  const toggle = (key: string) => onChange(keys.includes(key) ? keys.filter((entry) => entry !== key) : [...keys, key]);
  return (
    <details className="disclosure chooser">
      <summary>Columns</summary>
      <fieldset className="popover">
        <legend className="visually-hidden">Columns</legend>
        {allColumns(page).map((column) => (
          <label key={column.key} className="row small" style={{ flexWrap: "nowrap" }}>
            <input type="checkbox" checked={keys.includes(column.key)} onChange={() => toggle(column.key)} />
            {column.name} <span className="muted">{column.family}</span>
          </label>
        ))}
        <button type="button" className="button" onClick={() => onChange([])}>
          Reset
        </button>
      </fieldset>
    </details>
  );
}
