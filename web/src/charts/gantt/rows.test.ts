import { expect, it } from "vitest";
import { lines } from "./rows";

const entry = (id: string) => ({
  step: { id, status: "succeeded", ready: null, start: 0, end: 1, attempts: [], critical: false },
  bars: [],
});

it("shows the items of the open step below it, and that there are more", () => {
  const steps = [entry("a"), entry("each"), entry("b")];
  const told = (more?: () => void) =>
    lines(steps, [entry("each[0]"), entry("each[1]")], { of: "each", items: [], more, loading: false }).map((line) =>
      line.kind === "more" ? "more" : `${line.kind} ${line.step.id}`,
    );
  expect(told()).toEqual(["step a", "step each", "item each[0]", "item each[1]", "step b"]);
  expect(told(() => undefined)).toContain("more");
  expect(lines(steps, []).map(({ kind }) => kind)).toEqual(["step", "step", "step"]);
});
