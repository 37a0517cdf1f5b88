import { expect, it } from "vitest";
import { comparable, messages, variables } from "./template";

it("reads chats and leaves texts alone", () => {
  const chat = {
    kind: "chat",
    template: '[{"role":"system","content":"Be kind"},{"role":"user","content":"{{question}}"}]',
  };
  expect(messages(chat)?.map(({ role }) => role)).toEqual(["system", "user"]);
  expect(comparable(chat)).toBe("system:\nBe kind\n\nuser:\n{{question}}");
  expect(comparable({ kind: "text", template: "[1]" })).toBe("[1]");
  expect(messages({ kind: "chat", template: "broken" })).toBeNull();
});

it("lists what is to be filled in once", () =>
  expect(variables("{{ a }} {{b.c}} {{a}} {% x %} {{1}}")).toEqual(["a", "b.c"]));
