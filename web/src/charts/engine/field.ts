export type Cell = string | number | undefined;

/** How the values of a field lie along an axis. */
export interface FieldAxis {
  name: string;
  type: "value" | "log" | "category";
  /** The words, in order. */
  words?: string[];
  least: number;
  most: number;
}

/** Positive numbers that differ by more than this are settings like learning rates, which are chosen by their magnitude. */
const LOG_SPREAD = 50;

/** An axis for values: of numbers if all of them are numbers, else of words. Parameters are texts, so texts of numbers count. */
export function axisOf(name: string, cells: readonly Cell[], log?: boolean): FieldAxis {
  const given = cells.filter((cell) => cell !== undefined);
  const numbers = given.map(numberOf);
  if (numbers.every((value) => value !== null)) {
    const least = numbers.reduce((a, b) => Math.min(a, b), Infinity);
    const most = numbers.reduce((a, b) => Math.max(a, b), -Infinity);
    const apart = given.some((cell) => typeof cell === "string") && least > 0 && most / least > LOG_SPREAD;
    return { name, type: (log ?? apart) && most > 0 ? "log" : "value", least, most };
  }
  const words = [...new Set(given.map(String))].toSorted((a, b) => a.localeCompare(b, "en", { numeric: true }));
  return { name, type: "category", words, least: 0, most: words.length - 1 };
}

/** Where a value lies on its axis; null if it cannot be shown. */
export function placeOf(cell: Cell, axis: FieldAxis): string | number | null {
  if (cell === undefined) return null;
  if (axis.type === "category") return String(cell);
  const value = numberOf(cell);
  return value === null || (axis.type === "log" && value <= 0) ? null : value;
}

/** How far along its axis a value is, from 0 to 1; null if it has no place. */
export function shareOf(cell: Cell, axis: FieldAxis): number | null {
  const place = placeOf(cell, axis);
  if (place === null) return null;
  const at = typeof place === "number" ? place : (axis.words?.indexOf(place) ?? 0);
  const span = axis.most - axis.least;
  return span > 0 ? (at - axis.least) / span : 0.5;
}

function numberOf(cell: string | number): number | null {
  const value = typeof cell === "number" ? cell : cell.trim() === "" ? Number.NaN : Number(cell);
  return Number.isFinite(value) ? value : null;
}
