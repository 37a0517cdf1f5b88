import type { Json } from "../../../api/types.gen";

/** A message of a conversation. */
export interface ChatMessage {
  role: string;
  text: string;
  /** Tools that are to be called, and anything else that is no text. */
  more: Json[];
}

type Fields = { [key: string]: Json };

const isFields = (value: Json | undefined): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * The conversation that a value is: `{"messages": […]}`, a list of messages, `{"choices": [{"message"}]}`, `{"output": […]}` or one message, as
 * OpenAI, Anthropic, LangChain and OpenTelemetry write them; null if it is none.
 */
export function chat(value: Json): ChatMessage[] | null {
  if (Array.isArray(value)) {
    // LangChain gives a list for each of several prompts.
    const list = value.length === 1 && Array.isArray(value[0]) ? value[0] : value;
    const found = list.map(message);
    return found.length > 0 && found.every((one) => one !== null) ? found : null;
  }
  if (!isFields(value)) return null;
  for (const name of ["messages", "input", "output", "generations"]) {
    const inner = value[name];
    const found = Array.isArray(inner) ? chat(inner) : null;
    if (found) return withSystem(value, found);
  }
  if (Array.isArray(value.choices)) {
    const found = value.choices.map((choice) => (isFields(choice) ? message(choice.message) : null));
    return found.length > 0 && found.every((one) => one !== null) ? found : null;
  }
  const single = message(value);
  return single ? [single] : null;
}

/** The list or object that a text is the JSON of, as some programs send it; else the value as it is. */
export function unpacked(value: Json): Json {
  if (typeof value !== "string" || !/^\s*[[{]/.test(value)) return value;
  try {
    return JSON.parse(value) as Json;
  } catch {
    return value;
  }
}

/** Anthropic's prompt of the system stands beside the messages. */
function withSystem({ system }: Fields, messages: ChatMessage[]): ChatMessage[] {
  return typeof system === "string" ? [{ role: "system", text: system, more: [] }, ...messages] : messages;
}

const TYPES: Record<string, string> = { human: "user", ai: "assistant", AIMessage: "assistant", HumanMessage: "user" };

function message(value: Json | undefined): ChatMessage | null {
  if (!isFields(value)) return null;
  const inner = isFields(value.message) ? value.message : value;
  const type = typeof inner.type === "string" ? (TYPES[inner.type] ?? inner.type) : undefined;
  const role = typeof inner.role === "string" ? inner.role : type;
  const content = inner.content ?? inner.parts ?? (typeof inner.tool_calls === "object" ? "" : undefined);
  if (role === undefined || content === undefined) return null;
  const { text, more } = contentOf(content);
  const calls = Array.isArray(inner.tool_calls) ? inner.tool_calls : [];
  return { role, text, more: [...more, ...calls] };
}

function contentOf(content: Json): { text: string; more: Json[] } {
  if (typeof content === "string" || content === null) return { text: content ?? "", more: [] };
  if (!Array.isArray(content)) return { text: "", more: [content] };
  const texts: string[] = [];
  const more: Json[] = [];
  for (const part of content) {
    const text = isFields(part) ? (part.text ?? part.content) : part;
    const plain = isFields(part) && typeof part.type === "string" ? /text|reasoning/.test(part.type) : true;
    if (typeof text === "string" && plain) texts.push(text);
    else more.push(part);
  }
  return { text: texts.join("\n"), more };
}
