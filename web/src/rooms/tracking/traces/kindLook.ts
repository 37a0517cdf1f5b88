/** Colours of the kinds of spans, from the palette of the charts; whatever else there is has the first. */
const COLORS: Record<string, string> = {
  LLM: "var(--accent)",
  CHAT_MODEL: "var(--accent)",
  TOOL: "var(--warn)",
  RETRIEVER: "var(--ok)",
  EMBEDDING: "var(--ok)",
  RERANKER: "var(--ok)",
  AGENT: "var(--run)",
  CHAIN: "var(--run)",
};

export function kindColor(kind: string, status: string): string {
  return status === "ERROR" ? "var(--bad)" : (COLORS[kind] ?? "var(--idle)");
}

export const kindWord = (kind: string) => (kind && kind !== "UNKNOWN" ? kind.toLowerCase().replaceAll("_", " ") : "");
