import { address, type Query, refusal } from "./client";

/** One server-sent event. */
export interface StreamEvent {
  event: string;
  data: string;
}

/** The events of an answer that ends. Unlike `EventSource` it says why it was refused, and does not ask again. */
export async function* streamEvents(path: string, query: Query, signal: AbortSignal): AsyncGenerator<StreamEvent> {
  const response = await fetch(address(path, query), { signal, headers: { accept: "text/event-stream" } });
  if (!response.ok) throw await refusal(response);
  if (!response.body) return;
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    rest += decoder.decode(value, { stream: true });
    const blocks = rest.split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const event = readEvent(block);
      if (event) yield event;
    }
  }
}

/** A block of lines `event: …` and `data: …`; `null` for comments, which keep the connection alive. */
export function readEvent(block: string): StreamEvent | null {
  const lines = block.split("\n").map((line) => line.replace(/\r$/, ""));
  const of = (name: string) =>
    lines.filter((line) => line.startsWith(`${name}:`)).map((line) => line.slice(name.length + 1).replace(/^ /, ""));
  const data = of("data");
  return data.length === 0 ? null : { event: of("event").at(-1) ?? "message", data: data.join("\n") };
}
