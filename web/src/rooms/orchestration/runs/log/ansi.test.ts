import { expect, it } from "vitest";
import { plain, spans } from "./ansi";

const look = (line: string) =>
  spans(line).map(({ text, color, bold, underline }) => [text, color, bold ? "b" : underline ? "u" : ""]);

it("colours what stands between sequences", () => {
  expect(look("a \u001b[31mred\u001b[1;92mbold green\u001b[0m z")).toEqual([
    ["a ", null, ""],
    ["red", 1, ""],
    ["bold green", 2, "b"],
    [" z", null, ""],
  ]);
  expect(look("\u001b[4mline\u001b[24;39moff\u001b[mend")).toEqual([
    ["line", null, "u"],
    ["off", null, ""],
    ["end", null, ""],
  ]);
});

it("takes the nearest of eight for other colours, and nothing for greys and backgrounds", () => {
  expect(look("\u001b[38;5;196mr\u001b[38;2;40;200;255mc\u001b[38;5;244mg\u001b[48;5;1;33my")).toEqual([
    ["r", 1, ""],
    ["c", 6, ""],
    ["g", null, ""],
    ["y", 3, ""],
  ]);
});

it("leaves out what moves, links, titles and control characters, and what was written over", () => {
  expect(plain("\u001b[2K\u001b[1Gdone\u0007")).toBe("done");
  expect(plain("\u001b]8;;https://x\u001b\\link\u001b]8;;\u001b\\")).toBe("link");
  expect(plain("\u001b]0;title\u0007text\u001b")).toBe("text");
  expect(plain("10 %\r50 %\r100 %\r")).toBe("100 %");
  expect(plain("<b>tag</b>\tx")).toBe("<b>tag</b>\tx");
});
