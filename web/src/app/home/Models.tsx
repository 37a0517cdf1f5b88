import { Link } from "@tanstack/react-router";
import type { ModelSummary } from "../../api/types.gen";
import { number } from "../../format/number";
import { Empty } from "../../ui/Empty";

/** Registered models with their aliases and first metric. */
export function Models({ models }: { models: ModelSummary[] }) {
  if (models.length === 0) return <Empty what="No model registered yet." command="millrace explain register" />;
  return (
    <ul className="plain">
      {models.map((model) => {
        const [metric] = Object.entries(model.metrics);
        return (
          <li key={model.name} className="row spread">
            <Link to="/models/$name" params={{ name: model.name }}>
              {model.name}@{model.version}
            </Link>
            <span className="row">
              {metric && (
                <span className="muted small">
                  {metric[0]} {number(metric[1])}
                </span>
              )}
              {model.aliases.map((alias) => (
                <span key={alias} className="tag accent">
                  {alias}
                </span>
              ))}
            </span>
          </li>
        );
      })}
    </ul>
  );
}
