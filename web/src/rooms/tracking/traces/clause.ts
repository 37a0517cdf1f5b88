/** A text as the server's language quotes it. */
export const quoted = (text: string) => `'${text.replaceAll("'", "''")}'`;

/** The filter with one more condition; the same one is not said twice. */
export function withClause(filter: string | undefined, clause: string): string {
  const parts = (filter ?? "").split(/\s+and\s+/i).filter(Boolean);
  return parts.includes(clause) ? parts.join(" AND ") : [...parts, clause].join(" AND ");
}

export const SESSION = "metadata.`mlflow.trace.session`";
export const USER = "metadata.`mlflow.trace.user`";
