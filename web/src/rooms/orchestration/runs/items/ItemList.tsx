import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useRef } from "react";
import type { ItemView } from "../../../../api/types.gen";
import { span } from "../../../../format/time";
import { Message } from "../../../../ui/Message";
import { Status } from "../../../../ui/Status";

interface ItemListProps {
  items: ItemView[];
  label: string;
  now: number;
  /** The number of the item that is picked. */
  selected?: number;
  onSelect: (index: number) => void;
  /** Called when the last row comes into sight; absent if there is nothing after it. */
  onEnd?: () => void;
}

const ROW = 30;

/** Items, one a line; only those in sight exist, and more are asked for at the end. */
export function ItemList({ items, label, now, selected, onSelect, onEnd }: ItemListProps) {
  const host = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({
    count: items.length,
    getScrollElement: () => host.current,
    estimateSize: () => ROW,
    overscan: 12,
  });
  const shown = rows.getVirtualItems();
  const last = shown.at(-1)?.index ?? 0;
  const atEnd = last >= items.length - 1;
  useEffect(() => {
    if (atEnd) onEnd?.();
  }, [atEnd, onEnd]);
  const above = shown[0]?.start ?? 0;
  const below = rows.getTotalSize() - (shown.at(-1)?.end ?? 0);
  return (
    <div ref={host} className="virtual-table table-scroll" tabIndex={0} role="region" aria-label={label}>
      <table className="table" aria-rowcount={onEnd ? -1 : items.length + 1}>
        <thead>
          <tr>
            <th scope="col" className="num">
              #
            </th>
            <th scope="col">Item</th>
            <th scope="col">State</th>
            <th scope="col" className="num">
              Took
            </th>
            <th scope="col" className="num">
              Attempts
            </th>
            <th scope="col">Problem</th>
          </tr>
        </thead>
        <tbody>
          {above > 0 && <tr style={{ height: above }} aria-hidden />}
          {shown.map(({ index }) => {
            const item = items[index];
            if (!item) return null;
            return (
              <tr key={item.index} aria-rowindex={index + 2} aria-selected={selected === item.index || undefined}>
                <td className="num">{item.index}</td>
                <td>
                  <button
                    type="button"
                    className="button quiet"
                    aria-label={`item ${item.index}: ${item.label}`}
                    onClick={() => onSelect(item.index)}
                  >
                    {item.label}
                  </button>
                </td>
                <td>
                  <Status status={item.status} />
                </td>
                <td className="num">{span(item.started_at, item.ended_at, now)}</td>
                <td className="num">{item.attempts}</td>
                <td title={item.problem?.message}>
                  <Message text={item.problem?.message} />
                </td>
              </tr>
            );
          })}
          {below > 0 && <tr style={{ height: below }} aria-hidden />}
        </tbody>
      </table>
    </div>
  );
}
