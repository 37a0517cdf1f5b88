export interface ConnectionsSearch {
  /** The connection that is shown. */
  connection?: string;
  /** The kind of the one that is being made. */
  kind?: string;
}

type Raw = Record<string, unknown>;

const text = (value: unknown) => (value === undefined || value === null || value === "" ? undefined : String(value));

export const connectionsSearch = (raw: Raw): ConnectionsSearch => ({
  connection: text(raw.connection),
  kind: text(raw.kind),
});
