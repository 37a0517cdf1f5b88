// Imports go one way: ui, format -> charts, forms -> rooms -> app; a room never imports a room; `api` is for rooms and app.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../src", import.meta.url));
const LIMIT = 200;
const MAY = {
  format: [],
  ui: ["format"],
  charts: ["ui", "format"],
  forms: ["ui", "format"],
  api: [],
  rooms: ["ui", "format", "charts", "forms", "api"],
  app: ["ui", "format", "charts", "forms", "api", "rooms"],
};

const problems = [];
for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !/\.tsx?$/.test(entry.name)) continue;
  const file = join(entry.parentPath, entry.name);
  checkFile(file, readFileSync(file, "utf8"));
}
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exit(1);

function checkFile(file, text) {
  const [layer, room] = relative(root, file).split(sep);
  const lines = text.split("\n").length;
  if (file.endsWith(".tsx") && lines > LIMIT)
    problems.push(`${relative(root, file)}: ${lines} lines, at most ${LIMIT}`);
  if (!(layer in MAY)) return;
  for (const match of text.matchAll(/(?:from\s+|import\s*\(?\s*)"(\.[^"]*|@\/[^"]*)"/g)) {
    const target = match[1].startsWith("@/") ? join(root, match[1].slice(2)) : resolve(dirname(file), match[1]);
    const [wanted, otherRoom] = relative(root, target).split(sep);
    if (!(wanted in MAY)) continue;
    if (wanted === layer) {
      if (layer === "rooms" && otherRoom !== room) report(file, match[1], "a room does not import another room");
    } else if (!MAY[layer].includes(wanted)) {
      report(file, match[1], `${layer} may import only ${MAY[layer].join(", ") || "nothing"}`);
    }
  }
}

function report(file, specifier, why) {
  problems.push(`${relative(root, file)}: "${specifier}": ${why}`);
}
