import type { MouseEvent } from "react";
import type { RunColumn } from "./columns";
import { sortPlace } from "./sort";

interface RunGridHeadProps {
  columns: (RunColumn & { index: number })[];
  /** Widths of the columns that are out of sight, left and right of those in sight. */
  before: number;
  after: number;
  sort?: string;
  onSort: (key: string, add: boolean) => void;
  all: { checked: boolean; some: boolean; label: string; toggle: () => void };
}

/** Names of the columns; a click sorts, with Shift as a further key. */
export function RunGridHead({ columns, before, after, sort, onSort, all }: RunGridHeadProps) {
  const head = (key: string, name: string, className = "", index?: number) => {
    const at = sortPlace(sort, key);
    const order = at && (at.descending ? "descending" : "ascending");
    const click = (event: MouseEvent) => onSort(key, event.shiftKey);
    return (
      <th
        key={key}
        scope="col"
        className={className}
        aria-colindex={index}
        aria-sort={at && at.place !== null && at.place > 1 ? undefined : (order ?? undefined)}
      >
        <button type="button" className="sort" onClick={click} title={`${key}: sort; with Shift, also sort`}>
          <span className="clip">{name}</span>
          {at && (
            <span className="sorted">
              <span aria-hidden>{at.descending ? "▼" : "▲"}</span>
              {at.place}
            </span>
          )}
        </button>
      </th>
    );
  };
  return (
    <thead>
      <tr aria-rowindex={1}>
        <th scope="col" className="pin tick">
          <input
            type="checkbox"
            aria-label={all.label}
            title={all.label}
            checked={all.checked}
            ref={(box) => {
              if (box) box.indeterminate = all.some && !all.checked;
            }}
            onChange={all.toggle}
          />
        </th>
        {head("name", "Run", "pin name")}
        {head("status", "Status")}
        {head("start_time", "Started")}
        <th scope="col">Took</th>
        {before > 0 && <td aria-hidden />}
        {columns.map(({ key, name, index, family }) => head(key, name, family === "metrics" ? "num" : "", index))}
        {after > 0 && <td aria-hidden />}
      </tr>
    </thead>
  );
}
