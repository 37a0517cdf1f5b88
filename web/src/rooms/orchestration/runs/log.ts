const ERROR = /\b(?:error|exception|traceback|panicked|fatal|failed)\b/i;

/** Whether a line looks like the beginning of trouble. */
export function isError(line: string): boolean {
  return ERROR.test(line);
}

/** Index of the first line of trouble; -1 if there is none. */
export function firstError(lines: readonly string[]): number {
  const traceback = lines.findIndex((line) => line.startsWith("Traceback"));
  return traceback >= 0 ? traceback : lines.findIndex(isError);
}

/** Indexes of lines that contain `needle`, whatever its case. */
export function matches(lines: readonly string[], needle: string): number[] {
  const wanted = needle.trim().toLowerCase();
  if (wanted === "") return [];
  return lines.flatMap((line, index) => (line.toLowerCase().includes(wanted) ? [index] : []));
}
