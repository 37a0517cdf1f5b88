import type { FlowView } from "../../../api/types.gen";
import { useMemo } from "react";
import type { Mark } from "../../../ui/code/Editor";
import { CodeView } from "../../../ui/CodeView";
import { TextDiff } from "../../../ui/TextDiff";
import { Disclosure } from "../../../ui/Disclosure";
import type { Designer } from "./useDesigner";

/** The text itself, with the same marks as the canvas. */
export function FlowText({ designer, view }: { designer: Designer; view: FlowView }) {
  const { model, yaml, kept } = designer;
  const marks = useMemo(() => {
    const found = [...model.problems, ...model.nodes.flatMap(({ problem }) => (problem ? [problem] : []))];
    return found.flatMap(({ place, message, severity }): Mark[] =>
      place ? [{ line: place.line, column: place.column, length: place.length, message, severity }] : [],
    );
  }, [model]);
  return (
    <div className="stack">
      <CodeView
        text={yaml}
        language="yaml"
        label={view.file}
        marks={marks}
        onChange={view.read_only === null ? designer.type : undefined}
      />
      {designer.changed && (
        <Disclosure summary="What saving changes">
          <TextDiff label="changes" before={kept.yaml} after={yaml} />
        </Disclosure>
      )}
    </div>
  );
}
