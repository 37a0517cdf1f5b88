import type { ReactNode } from "react";

/** Something to be opened in place. */
export function Disclosure({
  summary,
  children,
  open = false,
}: {
  summary: ReactNode;
  children: ReactNode;
  open?: boolean;
}) {
  return (
    <details className="disclosure" open={open}>
      <summary>{summary}</summary>
      <div className="stack" style={{ paddingTop: 8 }}>
        {children}
      </div>
    </details>
  );
}
