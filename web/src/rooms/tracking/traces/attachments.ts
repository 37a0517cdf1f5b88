import { queryOptions } from "@tanstack/react-query";
import { address, refusal } from "../../../api/client";
import type { Json } from "../../../api/types.gen";

/** A file that a client attached to a span; MLflow's clients leave a reference in its place. */
export interface Attachment {
  id: string;
  trace: string;
  type: string;
  /** Bytes, if the reference says so. */
  size: number | null;
}

const SCHEME = "mlflow-attachment:";

/** The attachments that a value refers to, each once, in their order. */
export function attachmentsOf(value: Json): Attachment[] {
  const found = new Map<string, Attachment>();
  const look = (part: Json) => {
    if (typeof part === "string") {
      const attachment = part.startsWith(SCHEME) ? read(part) : null;
      if (attachment) found.set(attachment.id, attachment);
    } else if (Array.isArray(part)) part.forEach(look);
    else if (part !== null && typeof part === "object") Object.values(part).forEach(look);
  };
  look(value);
  return [...found.values()];
}

/** `mlflow-attachment://ID?content_type=…&trace_id=…&size=…`; null for what is none. */
function read(reference: string): Attachment | null {
  const [, id, query] = /^mlflow-attachment:\/\/([0-9a-f-]{36})\?(.*)$/.exec(reference) ?? [];
  if (id === undefined || query === undefined) return null;
  const fields = new URLSearchParams(query);
  const [trace, type, size] = [fields.get("trace_id"), fields.get("content_type"), Number(fields.get("size"))];
  return trace && type ? { id, trace, type, size: size > 0 ? size : null } : null;
}

/** Where an attachment comes from; the server sends it as bytes of no type. */
export const attachmentAddress = ({ id, trace }: Attachment) =>
  address("/ajax-api/3.0/mlflow/get-trace-artifact", { request_id: trace, path: id });

/** An attachment with the type that its client gave it, for pictures and players, which run nothing of it. */
export const attachmentQuery = (attachment: Attachment) =>
  queryOptions({
    queryKey: ["traces", attachment.trace, "attachments", attachment.id],
    queryFn: async ({ signal }) => {
      const response = await fetch(attachmentAddress(attachment), { signal });
      if (!response.ok) throw await refusal(response);
      return new Blob([await response.arrayBuffer()], { type: attachment.type });
    },
    staleTime: Infinity,
  });
