/** How many values a query binds: the highest `$n` outside of its texts, names and comments. */
export function paramCount(sql: string): number {
  const bare = sql.replaceAll(/'(?:[^']|'')*'|"(?:[^"]|"")*"|--.*|\/\*[\s\S]*?\*\//g, " ");
  const numbers = [...bare.matchAll(/\$(\d{1,3})/g)].map(([, digits]) => Number(digits));
  return Math.max(0, ...numbers);
}

/** A typed value: numbers, truths and null as such, a JSON text without its quotes, anything else as text. */
export function paramValue(typed: string): string | number | boolean | null {
  try {
    const value: unknown = JSON.parse(typed);
    if (value === null || typeof value === "boolean" || typeof value === "string") return value;
    if (typeof value === "number" && Number.isFinite(value)) return value;
  } catch {
    // It is a text that needs no quotes.
  }
  return typed;
}

/** The values that stand in an address; none if they are no JSON list. */
export function paramsOf(text: string | undefined): string[] {
  try {
    const list: unknown = JSON.parse(text ?? "[]");
    return Array.isArray(list) ? list.map((value) => (typeof value === "string" ? shown(value) : String(value))) : [];
  } catch {
    return [];
  }
}

/** A text as it is typed: in quotes only if it would else be read as something different. */
function shown(text: string): string {
  return paramValue(text) === text ? text : JSON.stringify(text);
}
