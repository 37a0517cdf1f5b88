import { expect, it } from "vitest";
import { costWords } from "./cost";

const none = {
  cpu_ms: null,
  cpu_user_ms: null,
  cpu_system_ms: null,
  peak_memory_bytes: null,
  read_bytes: null,
  written_bytes: null,
};

it("names what was measured alone", () => {
  expect(costWords(none)).toBe("");
  expect(costWords({ ...none, cpu_ms: 1500, written_bytes: 0 })).toBe("1.5 s CPU, 0 B written");
});
