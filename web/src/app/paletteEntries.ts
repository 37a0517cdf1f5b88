export interface PaletteEntry {
  key: string;
  name: string;
  kind: string;
  detail?: string | null;
  path: string;
}

const PAGES = [
  "Home",
  "Pipelines",
  "Runs",
  "Triggers",
  "Experiments",
  "Traces",
  "Prompts",
  "Evaluation",
  "Data",
  "SQL",
  "SQL models",
  "Connections",
  "Copy",
  "Flows",
  "Models",
  "Endpoints",
  "Monitoring",
  "Webhooks",
];

/** Pages whose name has the text in it. */
export function pages(text: string): PaletteEntry[] {
  const wanted = text.trim().toLowerCase();
  return PAGES.filter((name) => name.toLowerCase().includes(wanted)).map((name) => ({
    key: `page-${name}`,
    name,
    kind: "page",
    path: name === "Home" ? "/" : `/${name.toLowerCase().replaceAll(" ", "-")}`,
  }));
}
