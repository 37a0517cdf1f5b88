import type { ReactNode } from "react";

interface PageHeadProps {
  title: ReactNode;
  status?: ReactNode;
  about?: ReactNode;
  actions?: ReactNode;
}

/** The heading of a page: what it is, how it is, what can be done. */
export function PageHead({ title, status, about, actions }: PageHeadProps) {
  return (
    <div className="page-head">
      <div>
        <div className="row">
          <h1>{title}</h1>
          {status}
        </div>
        {about && <p className="muted">{about}</p>}
      </div>
      {actions && <div className="row">{actions}</div>}
    </div>
  );
}
