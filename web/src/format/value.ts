import { number } from "./number";

/** Any JSON value on one line. */
export function value(input: unknown): string {
  if (input === null || input === undefined) return "null";
  if (typeof input === "number") return number(input);
  if (typeof input === "string") return input;
  return JSON.stringify(input);
}
