import type { PromptVersionView } from "../../../api/types.gen";

export interface TemplateMessage {
  role: string;
  content: string;
}

/** The messages of a chat's template; null if it is a plain text. */
export function messages({ kind, template }: Pick<PromptVersionView, "kind" | "template">): TemplateMessage[] | null {
  if (kind !== "chat") return null;
  try {
    const read: unknown = JSON.parse(template);
    if (!Array.isArray(read)) return null;
    return read.map((entry: Partial<Record<"role" | "content", unknown>>) => ({
      role: String(entry.role ?? "user"),
      content: typeof entry.content === "string" ? entry.content : JSON.stringify(entry.content, null, 2),
    }));
  } catch {
    return null;
  }
}

/** The template as a text whose lines can be compared. */
export function comparable(version: Pick<PromptVersionView, "kind" | "template">): string {
  const chat = messages(version);
  return chat ? chat.map(({ role, content }) => `${role}:\n${content}`).join("\n\n") : version.template;
}

/** What is to be filled in, `{{question}}`, in the order of its first use. */
export function variables(template: string): string[] {
  return [...new Set([...template.matchAll(/\{\{\s*([A-Za-z_][\w.]*)\s*\}\}/g)].map(([, name]) => name ?? ""))];
}
