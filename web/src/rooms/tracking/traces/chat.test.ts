import { expect, it } from "vitest";
import { chat, unpacked } from "./chat";

const roles = (value: Parameters<typeof chat>[0]) => chat(value)?.map(({ role, text }) => `${role}: ${text}`) ?? null;

it.each([
  [{ messages: [{ role: "user", content: "hi" }] }, ["user: hi"]],
  [
    { system: "be kind", messages: [{ role: "user", content: [{ type: "text", text: "hi" }] }] },
    ["system: be kind", "user: hi"],
  ],
  [{ choices: [{ index: 0, message: { role: "assistant", content: "yes" } }] }, ["assistant: yes"]],
  [
    { output: [{ role: "assistant", type: "message", content: [{ type: "output_text", text: "yes" }] }] },
    ["assistant: yes"],
  ],
  [[[{ type: "human", content: "hi" }]], ["user: hi"]],
  [[{ role: "user", parts: [{ type: "text", content: "hi" }] }], ["user: hi"]],
  [{ role: "assistant", content: "yes" }, ["assistant: yes"]],
])("%j is a conversation", (value, expected) => expect(roles(value)).toEqual(expected));

it("keeps calls of tools and pictures beside the text", () => {
  const [message] =
    chat([{ role: "assistant", content: null, tool_calls: [{ function: { name: "search", arguments: "{}" } }] }]) ?? [];
  expect(message).toEqual({ role: "assistant", text: "", more: [{ function: { name: "search", arguments: "{}" } }] });
  expect(chat([{ role: "user", content: [{ type: "image_url", image_url: "x" }] }])?.[0]?.more).toHaveLength(1);
});

it("takes nothing else for one", () => {
  const others: Parameters<typeof chat>[0][] = [
    null,
    "hi",
    3,
    [],
    {},
    { question: "x" },
    [{ a: 1 }],
    { messages: "x" },
  ];
  for (const value of others) expect(chat(value)).toBeNull();
});

it("unpacks JSON that came in a text, and leaves other texts alone", () => {
  expect(unpacked('{"a": [1]}')).toEqual({ a: [1] });
  expect(unpacked("[not json")).toBe("[not json");
  expect(unpacked("3")).toBe("3");
});
