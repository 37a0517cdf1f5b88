import { expect, it } from "vitest";
import { begin, redone, undone, went } from "./past";

it("goes back and forward, and forgets what was undone once something else is done", () => {
  let past = went(went(begin("a"), "b"), "c");
  past = undone(past);
  expect(past.now).toBe("b");
  expect(redone(past).now).toBe("c");
  past = went(past, "d");
  expect(redone(past)).toBe(past);
  expect(undone(undone(past)).now).toBe("a");
  expect(undone(begin("a")).now).toBe("a");
});

it("keeps no more than can be wanted", () => {
  let past = begin(0);
  for (let at = 1; at <= 500; at += 1) past = went(past, at);
  expect(past.before).toHaveLength(200);
  expect(past.before[0]).toBe(300);
});
