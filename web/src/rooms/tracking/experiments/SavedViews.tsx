import IconTrash from "@tabler/icons-react/dist/esm/icons/IconTrash.mjs";
import { type FormEvent, useState } from "react";
import { CopyButton } from "../../../ui/CopyButton";
import type { ExperimentSearch } from "../search";
import { readViews, type SavedView, withView, writeViews } from "./savedViews";

interface SavedViewsProps {
  experiment: string;
  search: ExperimentSearch;
  onApply: (search: ExperimentSearch) => void;
}

/** Views under names, kept by this browser; the address is the form to share. */
export function SavedViews({ experiment, search, onApply }: SavedViewsProps) {
  const [views, setViews] = useState(() => readViews(experiment));
  const [name, setName] = useState("");
  const [kept, setKept] = useState(true);
  const keep = (next: SavedView[]) => {
    setViews(next);
    setKept(writeViews(experiment, next));
  };
  const save = (event: FormEvent) => {
    event.preventDefault();
    if (!name.trim()) return;
    keep(withView(views, { name: name.trim(), search }));
    setName("");
  };
  return (
    <details className="disclosure chooser">
      <summary>Views</summary>
      <div className="popover" style={{ minWidth: 250 }}>
        {views.length === 0 && <p className="muted small">No view saved for this experiment.</p>}
        {views.map((view) => (
          <div key={view.name} className="row spread" style={{ flexWrap: "nowrap" }}>
            <button type="button" className="button quiet clip" onClick={() => onApply(view.search)}>
              {view.name}
            </button>
            <button
              type="button"
              className="button quiet icon"
              aria-label={`Delete the view ${view.name}`}
              onClick={() => keep(views.filter((entry) => entry !== view))}
            >
              <IconTrash size={15} aria-hidden />
            </button>
          </div>
        ))}
        <form onSubmit={save} className="row" style={{ flexWrap: "nowrap" }}>
          <input
            className="input"
            style={{ flex: 1 }}
            aria-label="Name of the view"
            placeholder="Name"
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
          <button type="submit" className="button" disabled={!name.trim()}>
            Save
          </button>
        </form>
        {!kept && <p className="wrong small">This browser does not keep it.</p>}
        <div className="row small muted">
          <CopyButton text={window.location.href} label="Copy the address of this view" /> Address to share
        </div>
      </div>
    </details>
  );
}
