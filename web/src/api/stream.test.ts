import { afterEach, expect, it, vi } from "vitest";
import { readEvent, streamEvents } from "./stream";

afterEach(() => vi.unstubAllGlobals());

async function read(response: Response): Promise<string[]> {
  vi.stubGlobal("fetch", () => Promise.resolve(response));
  const found: string[] = [];
  for await (const { event, data } of streamEvents("/x", {}, new AbortController().signal)) found.push(event + data);
  return found;
}

it("reads events wherever the pieces are cut", async () => {
  const bytes = new TextEncoder().encode("event: match\ndata: {é}\n\n: ping\n\nevent: done\ndata: 1\ndata: 2\n\n");
  const body = new ReadableStream({
    start(controller) {
      for (const byte of bytes) controller.enqueue(new Uint8Array([byte]));
      controller.close();
    },
  });
  expect(await read(new Response(body))).toEqual(["match{é}", "done1\n2"]);
  expect(readEvent(": ping")).toBe(null);
});

it("says why it was refused", async () => {
  const refused = new Response(JSON.stringify({ code: "log-pattern", message: "unclosed group" }), { status: 400 });
  await expect(read(refused)).rejects.toThrow("unclosed group");
});
