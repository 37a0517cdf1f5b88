import { problemOf } from "../../../api/client";
import type { Mark } from "../../../ui/code/Editor";

/** The mark of a failed query at its place in the text: the word that stands there. */
export function marksOf(error: unknown, text: string): Mark[] {
  if (!error) return [];
  const { place, message } = problemOf(error);
  if (!place || place.file !== "query") return [];
  const line = text.split("\n")[place.line - 1] ?? "";
  const word = /^(?:"[^"]*"|[\w.@]+|.)/.exec(line.slice(place.column - 1))?.[0] ?? "";
  return [{ line: place.line, column: place.column, length: Math.max(word.length, 1), message, severity: "error" }];
}
