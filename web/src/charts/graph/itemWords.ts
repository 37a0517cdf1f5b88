import { count } from "../../format/number";
import { statusLook } from "../../ui/statusLook";

/** `16 failed, 1,484 succeeded`. */
export function itemWords(items: readonly { state: string; count: number }[]): string {
  return items.length === 0
    ? "no items"
    : items.map(({ state, count: n }) => `${count(n)} ${statusLook(state).word}`).join(", ");
}
