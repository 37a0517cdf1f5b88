import { type KeyboardEvent, useMemo } from "react";
import { NamePicker } from "../../../ui/NamePicker";
import { allKeys, type RunColumn, type RunKeys } from "./columns";

interface ColumnPanelProps {
  id: string;
  keys: RunKeys;
  shown: RunColumn[];
  onChange: (keys: string[]) => void;
  onClose: () => void;
}

/** What an address has room for. */
const MOST = 200;

/** Which metrics, parameters and tags are columns; the choice is kept in the address. */
export function ColumnPanel({ id, keys, shown, onChange, onClose }: ColumnPanelProps) {
  const names = useMemo(() => allKeys(keys), [keys]);
  const chosen = useMemo(() => shown.map((column) => column.key), [shown]);
  const close = (event: KeyboardEvent) => event.key === "Escape" && onClose();
  return (
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions
    <aside id={id} className="side-panel stack" aria-label="Columns" onKeyDown={close}>
      <div className="row spread">
        <h3>Columns</h3>
        <span className="row">
          <button type="button" className="button quiet small" onClick={() => onChange([])}>
            Reset
          </button>
          <button type="button" className="button small" onClick={onClose}>
            Done
          </button>
        </span>
      </div>
      <NamePicker label="columns" names={names} chosen={chosen} onChange={onChange} height={420} most={MOST} />
    </aside>
  );
}
