import type { EvaluationRecordView, Json } from "../../../api/types.gen";

export interface RecordTable {
  columns: { name: string }[];
  rows: Json[][];
}

/** Records as rows: a column a field of what goes in and what is expected, as far as the records have them. */
export function recordTable(records: readonly EvaluationRecordView[]): RecordTable {
  const names = (part: "inputs" | "expectations") => [
    ...new Set(records.flatMap((record) => Object.keys(record[part]))),
  ];
  const [inputs, expectations] = [names("inputs"), names("expectations")];
  const outputs = records.some((record) => record.outputs !== null);
  return {
    columns: [
      ...inputs.map((name) => ({ name: `inputs.${name}` })),
      ...(outputs ? [{ name: "outputs" }] : []),
      ...expectations.map((name) => ({ name: `expectations.${name}` })),
      { name: "source" },
    ],
    rows: records.map((record) => [
      ...inputs.map((name) => record.inputs[name] ?? null),
      ...(outputs ? [record.outputs] : []),
      ...expectations.map((name) => record.expectations[name] ?? null),
      record.source?.toLowerCase() ?? null,
    ]),
  };
}
