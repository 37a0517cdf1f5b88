import { expect, it } from "vitest";
import type { EvaluationRecordView } from "../../../api/types.gen";
import { recordTable } from "./records";

const record = (given: Partial<EvaluationRecordView>): EvaluationRecordView => ({
  id: "dr-1",
  inputs: {},
  outputs: null,
  expectations: {},
  source: null,
  trace_id: null,
  tags: {},
  created_at: "2026-01-01T00:00:00Z",
  ...given,
});

it("has a column for each field that any record has", () => {
  const table = recordTable([
    record({ inputs: { question: "a" }, source: "HUMAN" }),
    record({ inputs: { other: 1 }, expectations: { answer: "x" } }),
  ]);
  expect(table.columns.map(({ name }) => name)).toEqual([
    "inputs.question",
    "inputs.other",
    "expectations.answer",
    "source",
  ]);
  expect(table.rows).toEqual([
    ["a", null, null, "human"],
    [null, 1, "x", null],
  ]);
});
