import type { ReactNode } from "react";

interface CardProps {
  title?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
  /** Tables go to the edge. */
  flush?: boolean;
}

/** A framed part of a page with its own heading. */
export function Card({ title, actions, children, flush = false }: CardProps) {
  return (
    <section className="card">
      {title !== undefined && (
        <header>
          <h2>{title}</h2>
          {actions && <div className="row">{actions}</div>}
        </header>
      )}
      <div className={flush ? "table-scroll" : "body"}>{children}</div>
    </section>
  );
}
