import { expect, it } from "vitest";
import { attachmentAddress, attachmentsOf } from "./attachments";

const ID = "0f8fad5b-d9cb-469f-a165-70867728950e";
const reference = `mlflow-attachment://${ID}?content_type=image%2Fpng&trace_id=tr-1&size=10`;

it("finds references wherever they stand, each once", () => {
  const value = { messages: [{ content: [{ image: reference }, reference, "text"] }], other: 3, none: null };
  expect(attachmentsOf(value)).toEqual([{ id: ID, trace: "tr-1", type: "image/png", size: 10 }]);
  expect(attachmentAddress({ id: ID, trace: "tr-1", type: "image/png", size: 10 })).toBe(
    `/ajax-api/3.0/mlflow/get-trace-artifact?request_id=tr-1&path=${ID}`,
  );
});

it.each(["mlflow-attachment://x?content_type=a", `mlflow-attachment://${ID}`, `see ${reference}`, "", null])(
  "takes %j for none",
  (value) => expect(attachmentsOf(value)).toEqual([]),
);
