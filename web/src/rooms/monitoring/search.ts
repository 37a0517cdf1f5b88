export interface MonitorSearch {
  column?: string;
}

export const monitorSearch = (raw: Record<string, unknown>): MonitorSearch => ({
  column: typeof raw.column === "string" && raw.column !== "" ? raw.column : undefined,
});
