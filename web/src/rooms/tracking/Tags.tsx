/** Tags of a thing and of its version; those that MLflow keeps for itself are left out. */
export function Tags({ tags }: { tags: { [key: string]: string } }) {
  const shown = Object.entries(tags).filter(([key]) => !key.startsWith("mlflow."));
  if (shown.length === 0) return null;
  return (
    <div className="row" role="list" aria-label="tags">
      {shown.map(([key, value]) => (
        <span key={key} role="listitem" className="tag" title={`${key}: ${value}`}>
          {key}
          {value && `: ${value.length > 60 ? `${value.slice(0, 60)}…` : value}`}
        </span>
      ))}
    </div>
  );
}
