import { refusal } from "./client";

/** A part of a file. */
export interface FilePart {
  bytes: Uint8Array<ArrayBuffer>;
  /** Where it begins. */
  from: number;
  /** Size of the whole file. */
  total: number;
}

/** Reads up to `length` bytes of a file from `from` on, by a range request. */
export async function readPart(path: string, from: number, length: number, signal?: AbortSignal): Promise<FilePart> {
  const response = await fetch(path, { headers: { range: `bytes=${from}-${from + length - 1}` }, signal });
  // An empty file has no ranges.
  if (response.status === 416) return { bytes: new Uint8Array(0), from, total: from };
  if (!response.ok) throw await refusal(response);
  const bytes = new Uint8Array(await response.arrayBuffer());
  const [, total] = /\/(\d+)$/.exec(response.headers.get("content-range") ?? "") ?? [];
  return { bytes, from, total: total === undefined ? bytes.length : Number(total) };
}
