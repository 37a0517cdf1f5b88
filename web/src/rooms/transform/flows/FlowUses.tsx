import { Link } from "@tanstack/react-router";
import type { FlowView } from "../../../api/types.gen";
import { Ago } from "../../../ui/Ago";
import type { LastRun } from "./lastRun";

/** The steps that run the flow. */
export function FlowUses({ view, last }: { view: FlowView; last: LastRun | null }) {
  if (view.used_by.length === 0)
    return (
      <p className="muted small">
        No pipeline runs {view.file} yet. A step does with <code>flow: {view.file}</code>.
      </p>
    );
  return (
    <p className="muted small">
      Run by{" "}
      {view.used_by.map(({ pipeline, step }, at) => (
        <span key={`${pipeline} ${step}`}>
          {at > 0 && ", "}
          <Link to="/pipelines/$name" params={{ name: pipeline }}>
            {pipeline}
          </Link>{" "}
          ({step})
        </span>
      ))}
      .
      {last && (
        <>
          {" "}
          The nodes' rows are those of a{" "}
          <Link to="/runs/$run" params={{ run: last.run }}>
            run
          </Link>{" "}
          that ended <Ago at={last.endedAt} />.
        </>
      )}
    </p>
  );
}
