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

export const COPY_STEPS = ["source", "columns", "destination", "review"] as const;
export type CopyStep = (typeof COPY_STEPS)[number];

export interface CopySearch {
  step?: CopyStep;
  /** What would stand under `copy:` in a pipeline, as JSON. */
  copy?: string;
  /** The run that was started. */
  run?: string;
}

export const copySearch = (raw: Raw): CopySearch => ({
  step: COPY_STEPS.find((step) => step === raw.step),
  copy: typeof raw.copy === "object" && raw.copy !== null ? JSON.stringify(raw.copy) : text(raw.copy),
  run: text(raw.run),
});
