import { expect, test } from "vitest";
import { blocks, spans } from "./markdown";

test("blocks are told by how their lines begin", () => {
  const text = "# A\n\none\ntwo\n- x\n- y\n\n| n | v |\n|---|---|\n| a\\|b | 1 |\n\n```\n<b>\n```\n";
  expect(blocks(text)).toEqual([
    { kind: "heading", level: 1, text: "A" },
    { kind: "paragraph", text: "one two" },
    { kind: "list", items: ["x", "y"] },
    { kind: "table", head: ["n", "v"], rows: [["a\\|b", "1"]] },
    { kind: "code", text: "<b>" },
  ]);
});

test("an unfinished block ends with the text", () => {
  expect(blocks("```\nopen")).toEqual([{ kind: "code", text: "open" }]);
});

test("spans are marked and escapes are signs", () => {
  expect(spans("a **b** `c` *d* rows\\_train")).toEqual([
    { kind: "text", text: "a " },
    { kind: "strong", text: "b" },
    { kind: "text", text: " " },
    { kind: "code", text: "c" },
    { kind: "text", text: " " },
    { kind: "emphasis", text: "d" },
    { kind: "text", text: " rows_train" },
  ]);
});

test("only addresses of the web and of this server are links", () => {
  expect(spans("[a](https://a.example) [b](/data/x)").filter((span) => span.kind === "link")).toHaveLength(2);
  for (const address of ["javascript:alert(1)", "//evil.example", "data:text/html,x"])
    expect(spans(`[a](${address})`).every((span) => span.kind === "text")).toBe(true);
});
