import "./flows.css";
import { useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { Answer } from "../../../ui/Answer";
import { flowKindsQuery, flowQuery } from "../queries";
import { DesignerPage } from "./DesignerPage";

/** A flow: as a graph, as a list, as text; the three are one. */
export function FlowPage() {
  const { name } = useParams({ from: "/flows/$name" });
  const flow = useQuery(flowQuery(name));
  const kinds = useQuery(flowKindsQuery());
  const both = {
    data: flow.data && kinds.data && { flow: flow.data, kinds: kinds.data },
    error: flow.error ?? kinds.error,
    refetch: () => void Promise.all([flow.refetch(), kinds.refetch()]),
  };
  return (
    <Answer query={both} rows={10}>
      {({ flow: view, kinds: known }) => (
        // What is read again replaces what was drawn of it.
        <DesignerPage key={`${name} ${flow.dataUpdatedAt}`} view={view} kinds={known} onReload={both.refetch} />
      )}
    </Answer>
  );
}
