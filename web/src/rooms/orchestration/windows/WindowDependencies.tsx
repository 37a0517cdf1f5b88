import { Link } from "@tanstack/react-router";
import type { WindowDependencyView, WindowListView } from "../../../api/types.gen";

/** What the windows wait for, and what waits for them, from left to right. */
export function WindowDependencies({ pipeline, list }: { pipeline: string; list: WindowListView }) {
  if (list.dependencies.length === 0 && list.dependents.length === 0) {
    return <p className="muted">These windows wait for no others.</p>;
  }
  const own = list.dependencies.filter((edge) => edge.pipeline === pipeline);
  return (
    <div className="window-flow">
      <ul aria-label="waits for">
        {list.dependencies
          .filter((edge) => edge.pipeline !== pipeline)
          .map((edge) => (
            <li key={`${edge.trigger}${edge.pipeline}${edge.offset}`}>
              <WindowsOf name={edge.pipeline} />
              <span className="muted small">{asked(edge)}</span>
              <span className="arrow" aria-hidden>
                →
              </span>
            </li>
          ))}
      </ul>
      <div className="window-node current">
        <strong>{pipeline}</strong>
        {own.map((edge) => (
          <span key={edge.offset} className="muted small">
            ↺ after its window at {edge.offset}
          </span>
        ))}
      </div>
      <ul aria-label="waited for by">
        {list.dependents.map((name) => (
          <li key={name}>
            <span className="arrow" aria-hidden>
              →
            </span>
            <WindowsOf name={name} />
          </li>
        ))}
      </ul>
    </div>
  );
}

function WindowsOf({ name }: { name: string }) {
  return (
    <Link to="/pipelines/$name/windows" params={{ name }} className="window-node">
      {name}
    </Link>
  );
}

function asked({ offset, size, require }: WindowDependencyView): string {
  const where = offset === "0s" ? `the same ${size}` : `${size} from ${offset}`;
  return require === "all" ? where : `${where}, ${require}`;
}
