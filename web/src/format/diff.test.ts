import { expect, it } from "vitest";
import { diff } from "./diff";

const shown = (before: string, after: string) =>
  diff(before, after).map(({ kind, text }) => `${{ same: " ", added: "+", removed: "-" }[kind]}${text}`);

it("shows what was removed and added between what stayed", () => {
  expect(shown("a\nb\nc\nd", "a\nx\nc\nd\ne")).toEqual([" a", "-b", "+x", " c", " d", "+e"]);
});

it("keeps equal texts and begins from nothing", () => {
  expect(shown("a\nb", "a\nb")).toEqual([" a", " b"]);
  expect(shown("", "a")).toEqual(["-", "+a"]);
});

it("gives both texts back, however they differ", () => {
  const [before, after] = ["q\na\nq\nb\nq\nc", "b\nq\nq\na\nc\nq"];
  const lines = diff(before, after);
  expect(
    lines
      .filter(({ kind }) => kind !== "added")
      .map(({ text }) => text)
      .join("\n"),
  ).toBe(before);
  expect(
    lines
      .filter(({ kind }) => kind !== "removed")
      .map(({ text }) => text)
      .join("\n"),
  ).toBe(after);
});
