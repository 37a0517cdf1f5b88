import { useId } from "react";
import type { FlowNodeView } from "../../../api/types.gen";
import type { Gestures } from "./useGestures";

/** What a node is called, and what it is for. */
export function NodeWords({ node, gestures }: { node: FlowNodeView; gestures: Gestures }) {
  const id = useId();
  return (
    <>
      <div className="field">
        <label htmlFor={`${id}-name`}>Name</label>
        <input
          id={`${id}-name`}
          className="input mono"
          defaultValue={node.id}
          onKeyDown={(event) => event.key === "Enter" && event.currentTarget.blur()}
          onBlur={({ target }) => {
            const to = target.value.trim();
            if (to !== "" && to !== node.id) gestures.rename(node.id, to);
            else target.value = node.id;
          }}
        />
      </div>
      <div className="field">
        <label htmlFor={`${id}-about`}>Description</label>
        <textarea
          id={`${id}-about`}
          className="input"
          rows={2}
          key={node.description}
          defaultValue={node.description ?? ""}
          onBlur={({ target }) => {
            if (target.value.trim() !== (node.description ?? "")) gestures.describe(node.id, target.value);
          }}
        />
      </div>
    </>
  );
}
