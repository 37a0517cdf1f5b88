import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef } from "react";
import { count } from "../../../format/number";
import { useNow } from "../../../ui/useNow";
import type { RunColumn } from "./columns";
import { RunGridHead } from "./RunGridHead";
import { RunGridRow } from "./RunGridRow";
import { MOST_SELECTED } from "./selection";
import type { Runs } from "./useRuns";

interface RunGridProps {
  runs: Runs;
  columns: RunColumn[];
  filter?: string;
  sort?: string;
  onSort: (key: string, add: boolean) => void;
  selected: ReadonlySet<string>;
  onToggle: (id: string) => void;
  onSelect: (ids: string[]) => void;
}

const ROW = 30;
/** The head and a bar that scrolls. */
const FRAME = 48;
const FIXED = Object.entries({ tick: 36, name: 180, status: 128, start: 128, took: 80 });
const FIXED_WIDTH = FIXED.reduce((sum, [, width]) => sum + width, 0);
const WIDTH = 126;
/** Rows below those in sight at which the next page is asked for. */
const AHEAD = 40;

/** Tracked runs; only the rows and columns in sight exist, and pages come as the reader nears them. */
export function RunGrid({ runs, columns, filter, sort, onSort, selected, onToggle, onSelect }: RunGridProps) {
  const host = useRef<HTMLDivElement>(null);
  const now = useNow(true, 30_000);
  const list = runs.rows ?? [];
  const { more } = runs;
  const getScrollElement = () => host.current;
  const rows = useVirtualizer({ count: list.length, getScrollElement, estimateSize: () => ROW, overscan: 12 });
  const across = useVirtualizer({
    horizontal: true,
    count: columns.length,
    getScrollElement,
    estimateSize: () => WIDTH,
    paddingStart: FIXED_WIDTH,
    overscan: 4,
  });
  const items = rows.getVirtualItems();
  const sides = across.getVirtualItems();
  const [from, to] = [sides[0]?.index ?? 0, sides.at(-1)?.index ?? -1];
  const inSight = useMemo(
    () => columns.slice(from, to + 1).map((column, at) => ({ ...column, index: FIXED.length + from + at + 1 })),
    [columns, from, to],
  );
  const left = from * WIDTH;
  const right = Math.max(0, columns.length - to - 1) * WIDTH;
  const last = items.at(-1)?.index ?? 0;
  const wanted = more.has && !more.loading && !more.failed && last >= list.length - AHEAD;
  const { read } = more;
  useEffect(() => {
    if (wanted) read();
  }, [wanted, read]);

  // What answers another question is read from its beginning.
  const question = `${filter ?? ""}\n${sort ?? ""}`;
  const asked = useRef(question);
  useEffect(() => {
    if (asked.current !== question) host.current?.scrollTo({ top: 0 });
    asked.current = question;
  }, [question]);

  const first = list.slice(0, MOST_SELECTED).map((run) => run.id);
  const checked = first.length > 0 && first.every((id) => selected.has(id));
  const all = {
    checked,
    some: selected.size > 0,
    label: checked ? "select none" : `select the first ${count(first.length)} runs`,
    toggle: () => onSelect(checked ? [] : first),
  };
  const above = items[0]?.start ?? 0;
  const below = rows.getTotalSize() - (items.at(-1)?.end ?? 0);
  return (
    <div
      ref={host}
      className="run-grid"
      tabIndex={0}
      role="region"
      aria-label="tracked runs"
      aria-busy={runs.old}
      style={{ maxHeight: list.length * ROW + FRAME }}
    >
      <table
        className="table"
        style={{ width: FIXED_WIDTH + columns.length * WIDTH }}
        aria-rowcount={runs.total + 1}
        aria-colcount={FIXED.length + columns.length}
      >
        <colgroup>
          {FIXED.map(([name, width]) => (
            <col key={name} style={{ width }} />
          ))}
          {left > 0 && <col style={{ width: left }} />}
          {inSight.map(({ key }) => (
            <col key={key} style={{ width: WIDTH }} />
          ))}
          {right > 0 && <col style={{ width: right }} />}
        </colgroup>
        <RunGridHead columns={inSight} before={left} after={right} sort={sort} onSort={onSort} all={all} />
        <tbody>
          {above > 0 && <tr style={{ height: above }} aria-hidden />}
          {items.map(({ index }) => {
            const run = list[index];
            return (
              run && (
                <RunGridRow
                  key={index}
                  run={run}
                  rowIndex={index + 2}
                  columns={inSight}
                  before={left > 0}
                  after={right > 0}
                  selected={selected.has(run.id)}
                  now={now}
                  onToggle={onToggle}
                />
              )
            );
          })}
          {below > 0 && <tr style={{ height: below }} aria-hidden />}
        </tbody>
      </table>
    </div>
  );
}
