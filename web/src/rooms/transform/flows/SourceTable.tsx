import { useQuery } from "@tanstack/react-query";
import { useId } from "react";
import { Words } from "../../../forms/schema/Words";
import { queryTablesQuery } from "../queries";
import type { Designer } from "./useDesigner";

/** The table that a source has while the flow is edited; a pipeline gives it another one, or the same, when it runs. */
export function SourceTable({ source, designer }: { source: string; designer: Designer }) {
  const id = useId();
  const datasets = useQuery(queryTablesQuery()).data ?? [];
  const table = designer.tables[source] ?? "";
  return (
    <div className="field">
      <label htmlFor={id}>Table of {source} while it is edited</label>
      <input
        id={id}
        className="input"
        list={`${id}-words`}
        key={table}
        defaultValue={table}
        placeholder="a dataset, or raw/file.csv"
        onKeyDown={(event) => event.key === "Enter" && event.currentTarget.blur()}
        onBlur={({ target }) => target.value.trim() !== table && designer.choose(source, target.value.trim())}
      />
      <Words id={`${id}-words`} words={datasets.map(({ name }) => name)} />
    </div>
  );
}
