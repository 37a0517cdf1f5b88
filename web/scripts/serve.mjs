// Serves dist and the made-up answers, for pictures. Not shipped.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { answer, logEvents } from "./fixtures.mjs";
import { fileContent } from "./trackingFixtures.mjs";
import { Refused } from "./trackedRuns.mjs";

const DIST = fileURLToPath(new URL("../dist", import.meta.url));
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };

/** Starts the server; resolves to its address and what ends it. */
export function serve(port = 0) {
  const server = createServer(respond);
  return new Promise((done) => {
    server.listen(port, "127.0.0.1", () =>
      done({
        base: `http://127.0.0.1:${server.address().port}`,
        close: () => {
          server.closeAllConnections();
          server.close();
        },
      }),
    );
  });
}

/** As the server sends it, so that what a page would be refused shows here. */
const POLICY =
  "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; worker-src 'self' blob:; object-src 'none'; base-uri 'none'";

async function respond(request, response) {
  const { pathname, searchParams } = new URL(request.url, "http://localhost");
  if (pathname === "/api/events") {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(": hello\n\n");
    return;
  }
  const events = logEvents(pathname, searchParams);
  if (events !== undefined) {
    response.writeHead(200, { "content-type": "text/event-stream" }).end(events);
    return;
  }
  const [, stored] = /^\/api\/(?:artifacts|2\.0\/mlflow-artifacts\/artifacts)\/(.+)$/.exec(pathname) ?? [];
  if (stored !== undefined) return sendFile(stored, request, response);
  const page = request.headers.accept?.includes("text/html");
  let json;
  try {
    json = page ? undefined : answer(pathname, searchParams);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    response.writeHead(error.status, { "content-type": "application/problem+json" }).end(JSON.stringify(error.problem));
    return;
  }
  if (json !== undefined) {
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(json));
    return;
  }
  if (pathname.startsWith("/api/")) {
    response.writeHead(404, { "content-type": "application/problem+json" });
    response.end(
      JSON.stringify({ code: "not-found", title: "not found", detail: `there is nothing at \`${pathname}\`` }),
    );
    return;
  }
  const file = extname(pathname) ? pathname : "/index.html";
  try {
    const content = await readFile(join(DIST, file));
    response
      .writeHead(200, {
        "content-type": TYPES[extname(file)] ?? "application/octet-stream",
        "content-security-policy": POLICY,
      })
      .end(content);
  } catch {
    response.writeHead(404).end();
  }
}

/** A file of a run, or a range of it, as the server sends it to be shown. */
function sendFile(path, request, response) {
  const text = fileContent(path);
  if (text === undefined)
    return response.writeHead(404, { "content-type": "application/json" }).end('{"message":"no such file"}');
  const bytes = Buffer.from(text);
  const [, from, to] = /bytes=(\d+)-(\d*)/.exec(request.headers.range ?? "") ?? [];
  const ending = extname(path);
  const headers = {
    "content-type": { ...TYPES, ".txt": "text/plain" }[ending] ?? "application/octet-stream",
    "content-security-policy":
      ending === ".html"
        ? "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; frame-ancestors 'self'"
        : "sandbox; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'",
  };
  if (from === undefined) return response.writeHead(200, headers).end(bytes);
  const part = bytes.subarray(Number(from), to ? Number(to) + 1 : undefined);
  const range = `bytes ${from}-${Number(from) + part.length - 1}/${bytes.length}`;
  return response.writeHead(206, { ...headers, "content-range": range }).end(part);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { base } = await serve(Number(process.argv[2] ?? 4173));
  console.log(base);
}
