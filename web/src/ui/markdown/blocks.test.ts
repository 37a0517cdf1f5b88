import { expect, it } from "vitest";
import { blocks, spans } from "./blocks";

it("finds the blocks of a model card", () => {
  const text =
    "# Card #\n\nTwo\nlines\n\n- one\n- two\n  more\n1. x\n\n```py\n# no heading\n```\n> said\n\n| a | b |\n|---|:-:|\n| 1 | x\\|y |\n\n---";
  expect(blocks(text)).toEqual([
    { kind: "heading", level: 1, text: "Card" },
    { kind: "paragraph", text: "Two\nlines" },
    { kind: "list", ordered: false, items: [["one"], ["two", "more"], ["x"]] },
    { kind: "code", text: "# no heading" },
    { kind: "quote", blocks: [{ kind: "paragraph", text: "said" }] },
    { kind: "table", head: ["a", "b"], rows: [["1", "x|y"]] },
    { kind: "rule" },
  ]);
});

it("ends even if a fence does not", () => expect(blocks("```\nx")).toEqual([{ kind: "code", text: "x" }]));

it("leads only to the web", () => {
  const shown = spans("see **this** `a*b*` [good](https://x.org) [bad](javascript:alert(1)) snake_case_name");
  expect(shown.filter(({ kind }) => kind !== "text")).toEqual([
    { kind: "strong", text: "this" },
    { kind: "code", text: "a*b*" },
    { kind: "link", text: "good", href: "https://x.org" },
  ]);
  expect(shown.map(({ text }) => text).join("")).toContain("snake_case_name");
});

it("shows escaped signs as they are", () =>
  expect(spans("a **b** rows\\_train \\*x\\*")).toEqual([
    { kind: "text", text: "a " },
    { kind: "strong", text: "b" },
    { kind: "text", text: " rows_train *x*" },
  ]));

const links = (text: string, own: boolean) => spans(text, own).filter(({ kind }) => kind === "link");

it("leads within the server from texts of ours alone", () => {
  expect(links("[a](https://a.example) [b](/data/x)", true)).toHaveLength(2);
  expect(links("[a](https://a.example) [b](/data/x)", false)).toHaveLength(1);
  for (const address of ["javascript:alert(1)", "//evil.example", "data:text/html,x"])
    expect(links(`[a](${address})`, true)).toEqual([]);
});
