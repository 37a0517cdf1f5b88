import { useId, useMemo } from "react";
import { SchemaField } from "../../../forms/schema/SchemaField";
import { shapeOf } from "../../../forms/schema/shape";
import { Disclosure } from "../../../ui/Disclosure";
import type { CopyStepProps } from "./CopyPage";
import { only, pick, SOURCE_OPTIONS, sourceOnly, withOptions } from "./config";
import { CopyRows } from "./CopyRows";
import { PlaceField } from "./PlaceField";
import { Places } from "./Places";

/** Where the rows come from, and how they are read. */
export function SourceStep({ config, schema, onChange }: CopyStepProps) {
  const id = useId();
  const shape = useMemo(() => shapeOf(only(schema, SOURCE_OPTIONS), schema), [schema]);
  const from = typeof config.from === "string" ? config.from : "";
  // Another source has other columns.
  const choose = (place: string) =>
    onChange({ ...withOptions(config, ["drop", "rename", "columns"], {}), from: place || undefined });
  return (
    <div className="copy-source">
      <Places label="places to read" onChoose={choose} />
      <div className="stack">
        <div className="field">
          <label htmlFor={id}>From</label>
          <PlaceField
            id={id}
            value={from}
            placeholder="raw/orders.csv, shop:public.orders, https://…, data:orders"
            onChange={choose}
          />
          <span className="help" id={`${id}-help`}>
            A path or glob in the workspace, a table or file of a connection, an address, or a dataset.
          </span>
        </div>
        <Disclosure summary="How it is read" open={Object.keys(pick(config, SOURCE_OPTIONS)).length > 0}>
          <SchemaField
            shape={shape}
            value={pick(config, SOURCE_OPTIONS)}
            label="the source"
            onChange={(options) => onChange(withOptions(config, SOURCE_OPTIONS, options as never))}
          />
        </Disclosure>
        {from && <CopyRows config={sourceOnly(config)} label="rows of the source" />}
      </div>
    </div>
  );
}
