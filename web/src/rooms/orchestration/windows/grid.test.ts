import { expect, test } from "vitest";
import type { WindowView } from "../../../api/types.gen";
import { cellText, layout, rangeOf, within } from "./grid";

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

test("days stand under their weekdays, also the one of 23 hours; the newest month is first", () => {
  const days = [
    window("2026-03-28T00:00:00+01:00", "2026-03-29T00:00:00+01:00"),
    window("2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"),
    window("2026-04-01T00:00:00+02:00", "2026-04-02T00:00:00+02:00"),
  ];
  const { groups, up } = layout(days);
  const [april, march] = groups;
  expect(march).toMatchObject({ label: "March 2026", header: ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"] });
  expect(march?.rows).toEqual([{ label: null, cells: [null, null, null, null, null, days[0], days[1]] }]);
  expect(april?.rows).toEqual([{ label: null, cells: [null, null, days[2]] }]);
  expect(cellText(days[0]!)).toBe("28");
  // The week above is the earlier one.
  expect(up).toBe(-7);
});

test("hours stand under their hours, a row a day, the newest day first", () => {
  const hours = [
    window("2026-03-28T06:00:00Z", "2026-03-28T12:00:00Z"),
    window("2026-03-28T12:00:00Z", "2026-03-28T18:00:00Z"),
    window("2026-03-29T00:00:00Z", "2026-03-29T06:00:00Z"),
  ];
  expect(layout(hours)).toEqual({
    groups: [
      {
        label: "March 2026",
        header: ["00", "06", "12", "18"],
        rows: [
          { label: "Su 29", cells: [hours[2]] },
          { label: "Sa 28", cells: [null, hours[0], hours[1]] },
        ],
      },
    ],
    up: 4,
  });
  expect(cellText(hours[1]!)).toBe("");
});

test("the hour that comes twice stands beside itself, and what does not fit a row gets several a day", () => {
  const twice = [
    window("2026-10-25T02:00:00+02:00", "2026-10-25T03:00:00+02:00"),
    window("2026-10-25T02:00:00+01:00", "2026-10-25T03:00:00+01:00"),
  ];
  expect(layout(twice).groups[0]?.rows[0]?.cells).toEqual([null, null, ...twice]);
  const quarters = [
    window("2026-03-28T06:45:00Z", "2026-03-28T07:00:00Z"),
    window("2026-03-28T12:00:00Z", "2026-03-28T12:15:00Z"),
  ];
  const [group] = layout(quarters).groups;
  expect(group?.header).toEqual([]);
  expect(group?.rows.map(({ label, cells }) => [label, cells.length])).toEqual([
    ["Sa 28, 12", 1],
    ["Sa 28, 06", 4],
  ]);
});

test("weeks stand in their months, months in their years", () => {
  const weeks = [
    window("2026-09-28T00:00:00Z", "2026-10-05T00:00:00Z"),
    window("2026-10-05T00:00:00Z", "2026-10-12T00:00:00Z"),
  ];
  expect(layout(weeks).groups).toEqual([
    {
      label: "2026",
      header: [],
      rows: [
        { label: "Oct", cells: [weeks[1]] },
        { label: "Sep", cells: [weeks[0]] },
      ],
    },
  ]);
  expect(cellText(weeks[1]!)).toBe("5");
  const months = [
    window("2025-12-01T00:00:00Z", "2026-01-01T00:00:00Z"),
    window("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"),
  ];
  const { groups, up } = layout(months);
  expect(groups[0]?.header).toHaveLength(12);
  expect(groups[0]?.rows[0]).toEqual({ label: "2026", cells: [months[1]] });
  expect(groups[0]?.rows[1]?.cells).toHaveLength(12);
  expect(up).toBe(12);
  expect(layout([]).groups).toEqual([]);
});

test("a range is in order whichever end was picked first, and has the windows between", () => {
  const one = window("2026-03-28T00:00:00Z", "2026-03-29T00:00:00Z");
  const between = window("2026-03-29T00:00:00Z", "2026-03-30T00:00:00Z");
  const other = window("2026-03-30T00:00:00Z", "2026-03-31T00:00:00Z");
  const range = { from: "2026-03-28T00:00:00Z", until: "2026-03-31T00:00:00Z" };
  expect(rangeOf(one, other)).toEqual(range);
  expect(rangeOf(other, one)).toEqual(range);
  expect(within([one, between, other], rangeOf(one, between))).toEqual([one, between]);
});
