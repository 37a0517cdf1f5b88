/** An endpoint's address as the reader reaches the server, which need not be how the server calls itself. */
export const addressHere = (url: string): string => {
  const { origin } = window.location;
  return new URL(new URL(url, origin).pathname, origin).href;
};

/** Ready-made calls of an endpoint with an example row. */
export function snippets(url: string, row: Record<string, unknown>): { name: string; text: string }[] {
  const body = JSON.stringify({ rows: [row] });
  return [
    {
      name: "curl",
      text: `curl -s ${url} -H 'content-type: application/json' -d '${body.replaceAll("'", `'\\''`)}'`,
    },
    {
      name: "Python",
      text: [
        "import json, urllib.request",
        "",
        `body = json.dumps({"rows": [${python(row)}]}).encode()`,
        `request = urllib.request.Request("${url}", body, {"content-type": "application/json"})`,
        "print(json.load(urllib.request.urlopen(request)))",
      ].join("\n"),
    },
  ];
}

/** A JSON value as a Python literal. */
export function python(value: unknown): string {
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map(python).join(", ")}]`;
  if (typeof value === "object") {
    const entries = Object.entries(value).map(([key, entry]) => `${JSON.stringify(key)}: ${python(entry)}`);
    return `{${entries.join(", ")}}`;
  }
  return JSON.stringify(value);
}
