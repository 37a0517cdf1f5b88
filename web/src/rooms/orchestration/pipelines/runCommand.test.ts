import { expect, it } from "vitest";
import { runCommand } from "./runCommand";

it("quotes for the shell only what needs it", () => {
  expect(runCommand("flights", {})).toBe("millrace run flights");
  expect(runCommand("flights", { month: 7, who: "it's me" })).toBe(
    "millrace run flights -i month=7 -i 'who=it'\\''s me'",
  );
});
