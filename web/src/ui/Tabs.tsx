import { type KeyboardEvent, type ReactNode, useEffect, useId } from "react";

export interface Tab<K extends string> {
  key: K;
  label: ReactNode;
}

interface TabsProps<K extends string> {
  tabs: Tab<K>[];
  value: K;
  onChange: (key: K) => void;
  label: string;
  children: ReactNode;
}

/** Parts of a page of which one is shown; arrow keys move between them. */
export function Tabs<K extends string>({ tabs, value, onChange, label, children }: TabsProps<K>) {
  const id = useId();
  useEffect(() => {
    // On a narrow screen the row scrolls; only the row, not the page.
    const tab = document.getElementById(`${id}-${value}`);
    const row = tab?.parentElement;
    if (tab && row) row.scrollLeft = tab.offsetLeft + tab.offsetWidth - row.clientWidth;
    // The row grows when a further part comes.
    // oxlint-disable-next-line react/exhaustive-effect-dependencies
  }, [id, value, tabs.length]);
  const move = (event: KeyboardEvent<HTMLDivElement>) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step === undefined) return;
    const at = tabs.findIndex((tab) => tab.key === value);
    const next = tabs[(at + step + tabs.length) % tabs.length];
    if (!next) return;
    event.preventDefault();
    onChange(next.key);
    document.getElementById(`${id}-${next.key}`)?.focus();
  };
  return (
    <>
      <div className="tabs" role="tablist" aria-label={label} onKeyDown={move} tabIndex={-1}>
        {tabs.map((tab) => (
          <button
            key={tab.key}
            id={`${id}-${tab.key}`}
            type="button"
            role="tab"
            aria-selected={tab.key === value}
            aria-controls={`${id}-panel`}
            tabIndex={tab.key === value ? 0 : -1}
            onClick={() => onChange(tab.key)}
          >
            {tab.label}
          </button>
        ))}
      </div>
      <div id={`${id}-panel`} role="tabpanel" aria-labelledby={`${id}-${value}`} className="stack">
        {children}
      </div>
    </>
  );
}
