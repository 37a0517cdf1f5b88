import { expect, it } from "vitest";
import { readHistory, withQuery, writeHistory } from "./history";

it("keeps a query once, the newest first, and no more than a hundred", () => {
  let past = withQuery([], { sql: "select 1", at: 1 });
  past = withQuery(past, { sql: "select 2", at: 2 });
  past = withQuery(past, { sql: " select 1 ", at: 3 });
  expect(past.map(({ at }) => at)).toEqual([3, 2]);
  for (let at = 4; at < 300; at += 1) past = withQuery(past, { sql: `select ${at}`, at });
  expect(past).toHaveLength(100);
});

it("reads nothing out of what is no history, and says when nothing can be kept", () => {
  expect(readHistory({ getItem: () => '[{"sql": 1}, {"sql": "select 1", "at": 5}]' })).toEqual([
    { sql: "select 1", at: 5 },
  ]);
  expect(readHistory({ getItem: () => "{" })).toEqual([]);
  const full = {
    setItem: () => {
      throw new Error("full");
    },
  };
  expect(writeHistory([], full)).toBe(false);
});
