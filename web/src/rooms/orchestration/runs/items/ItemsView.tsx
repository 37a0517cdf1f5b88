import { useInfiniteQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import type { ItemsView as Items, StepView } from "../../../../api/types.gen";
import { count, plural } from "../../../../format/number";
import { Answer } from "../../../../ui/Answer";
import { Status } from "../../../../ui/Status";
import { isOver, itemsQuery } from "../../queries";
import { statesOf } from "../model";
import { ItemList } from "./ItemList";
import { ItemPanel } from "./ItemPanel";

const PAGE = 200;

interface ItemsViewProps {
  run: string;
  step: StepView;
  items: Items;
  now: number;
}

/** What a step is done for, narrowed by state or begun at a number; the picked item below. */
export function ItemsView({ run, step, items, now }: ItemsViewProps) {
  const search = useSearch({ from: "/runs/$run" });
  const navigate = useNavigate({ from: "/runs/$run" });
  const [from, setFrom] = useState(0);
  const { item, state } = search;
  const about = { state, from, size: PAGE, over: isOver(step.status) };
  const query = useInfiniteQuery(itemsQuery(run, step.id, about));
  const set = (change: Partial<typeof search>) =>
    void navigate({
      search: { ...search, step: step.id, part: "items", attempt: undefined, line: undefined, ...change },
      replace: true,
      resetScroll: false,
    });
  const shown = query.data?.pages.flatMap((page) => page.items);
  return (
    <div className="stack">
      <div className="row">
        <div className="row" role="group" aria-label="state of the items" style={{ gap: 4 }}>
          <button type="button" className="button" aria-pressed={!state} onClick={() => set({ state: undefined })}>
            any <span className="muted">{count(items.total)}</span>
          </button>
          {statesOf(items).map((one) =>
            one.state === "pending" ? (
              <span key="pending" className="small muted">
                {count(one.count)} not begun
              </span>
            ) : (
              <button
                key={one.state}
                type="button"
                className="button"
                aria-pressed={state === one.state}
                onClick={() => set({ state: one.state })}
              >
                <Status status={one.state} /> <span className="muted">{count(one.count)}</span>
              </button>
            ),
          )}
        </div>
        <label className="row small">
          from item
          <input
            className="input"
            type="number"
            min={0}
            max={Math.max(0, items.total - 1)}
            style={{ width: 90 }}
            defaultValue={0}
            onKeyDown={(event) => event.key === "Enter" && setFrom(Math.max(0, Number(event.currentTarget.value)))}
            onBlur={(event) => setFrom(Math.max(0, Number(event.currentTarget.value)))}
          />
        </label>
      </div>
      <Answer query={{ data: shown, error: query.error, refetch: query.refetch }} rows={6}>
        {(found) =>
          found.length === 0 ? (
            <p className="muted small">
              {items.total === 0 ? "The list was empty: there was nothing to do." : "No item is like that."}
            </p>
          ) : (
            <>
              <ItemList
                items={found}
                label={`items of ${step.id}`}
                now={now}
                selected={item}
                onSelect={(index) => set({ item: index })}
                onEnd={query.hasNextPage && !query.isFetchingNextPage ? () => void query.fetchNextPage() : undefined}
              />
              <p className="small muted" aria-live="polite">
                {plural(found.length, "item")} loaded{query.hasNextPage ? "; more come as the list is scrolled" : ""}
              </p>
            </>
          )
        }
      </Answer>
      {item !== undefined && <ItemPanel key={item} run={run} step={step} index={item} now={now} />}
    </div>
  );
}
