import { expect, test } from "vitest";
import type { WindowView } from "../../../api/types.gen";
import { cellText, grid, rangeOf } from "./grid";

const window = (start: string, end: string): WindowView => ({
  trigger: "t",
  start,
  end,
  state: "succeeded",
  reason: null,
  attempt: 1,
  run_id: null,
  due_at: end,
});

test("days stand under their weekdays, also the one of 23 hours", () => {
  const days = [
    window("2026-03-28T00:00:00+01:00", "2026-03-29T00:00:00+01:00"),
    window("2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"),
    window("2026-04-01T00:00:00+02:00", "2026-04-02T00:00:00+02:00"),
  ];
  const [march, april] = grid(days);
  // 1 March 2026 is a Sunday: six places are free before it.
  expect(march).toMatchObject({ label: "2026-03", columns: 7 });
  expect(march?.cells.length).toBe(6 + 29);
  expect(march?.cells.at(-1)).toBe(days[1]);
  expect(april?.cells).toEqual([null, null, days[2]]);
  expect(cellText(days[0]!)).toBe("28");
});

test("hours stand in a row a day, months in a row a year", () => {
  const hours = [window("2026-03-28T00:00:00Z", "2026-03-28T06:00:00Z"), window("2026-03-28T06:00:00Z", "2026-03-28T12:00:00Z")];
  expect(grid(hours)).toEqual([{ label: "2026-03-28", columns: 2, cells: hours }]);
  expect(cellText(hours[1]!)).toBe("06:00");
  const months = [window("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"), window("2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z")];
  expect(grid(months)).toEqual([{ label: "2026", columns: 2, cells: months }]);
  expect(cellText(months[1]!)).toBe("02");
  expect(grid([])).toEqual([]);
});

test("a range is in order whichever end was picked first", () => {
  const one = window("2026-03-28T00:00:00Z", "2026-03-29T00:00:00Z");
  const other = window("2026-03-30T00:00:00Z", "2026-03-31T00:00:00Z");
  const range = { from: "2026-03-28T00:00:00Z", until: "2026-03-31T00:00:00Z" };
  expect(rangeOf(one, other)).toEqual(range);
  expect(rangeOf(other, one)).toEqual(range);
});
