/** Tags of a model and of its version; those that MLflow keeps for itself are left out. */
export function Labels({ tags }: { tags: { [key: string]: string } }) {
  const shown = Object.entries(tags).filter(([key]) => !key.startsWith("mlflow."));
  if (shown.length === 0) return null;
  return (
    <ul className="plain row" aria-label="tags">
      {shown.map(([key, value]) => (
        <li key={key} className="tag" title={`${key}: ${value}`}>
          {key}
          {value && `: ${value.length > 60 ? `${value.slice(0, 60)}…` : value}`}
        </li>
      ))}
    </ul>
  );
}
