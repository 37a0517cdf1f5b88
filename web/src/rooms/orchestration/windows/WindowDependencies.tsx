import { Link } from "@tanstack/react-router";
import type { WindowDependencyView, WindowListView } from "../../../api/types.gen";

interface WindowDependenciesProps {
  pipeline: string;
  trigger: string;
  list: WindowListView;
}

/** What the windows wait for, and what waits for them, from left to right. */
export function WindowDependencies({ pipeline, trigger, list }: WindowDependenciesProps) {
  const needs = list.dependencies.filter((edge) => edge.trigger === trigger);
  if (needs.length === 0 && list.dependents.length === 0) {
    return <p className="muted">These windows wait for no others.</p>;
  }
  const own = needs.filter((edge) => edge.pipeline === pipeline);
  const others = needs.filter((edge) => edge.pipeline !== pipeline);
  return (
    <div className="window-flow">
      {others.length > 0 && (
        <ul aria-label="waits for">
          {others.map((edge) => (
            <li key={`${edge.pipeline}${edge.offset}${edge.size}`}>
              <WindowsOf name={edge.pipeline} />
              <span className="muted small">{words(edge)}</span>
              <Arrow />
            </li>
          ))}
        </ul>
      )}
      <div className="window-node current">
        <strong>{pipeline}</strong>
        {own.map((edge) => (
          <span key={edge.offset} className="muted small">
            ↺ after its own window {earlier(edge.offset)}
          </span>
        ))}
      </div>
      {list.dependents.length > 0 && (
        <ul aria-label="waited for by">
          {list.dependents.map((name) => (
            <li key={name}>
              <Arrow />
              <WindowsOf name={name} />
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

function Arrow() {
  return (
    <span className="arrow" aria-hidden>
      →
    </span>
  );
}

function WindowsOf({ name }: { name: string }) {
  return (
    <Link to="/pipelines/$name/windows" params={{ name }} className="window-node">
      {name}
    </Link>
  );
}

/** What of the other pipeline is waited for: `its windows of the same 1d`, `its windows of 7d, from 6d earlier, all but 1`. */
export function words({ offset, size, require }: WindowDependencyView): string {
  const where = offset === "0s" ? `of the same ${size}` : `of ${size}, from ${earlier(offset)}`;
  return `its windows ${where}${require === "all" ? "" : `, ${require}`}`;
}

const earlier = (offset: string) => (offset.startsWith("-") ? `${offset.slice(1)} earlier` : `${offset} later`);
