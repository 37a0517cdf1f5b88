import { useId, useMemo } from "react";
import { SchemaField } from "../../../forms/schema/SchemaField";
import { shapeOf } from "../../../forms/schema/shape";
import { only, pick, SINK_OPTIONS, withOptions } from "./config";
import type { CopyStepProps } from "./CopyPage";
import { PlaceField } from "./PlaceField";

/** Where the rows go, and what becomes of what is there. */
export function DestinationStep({ config, schema, onChange }: CopyStepProps) {
  const id = useId();
  const shape = useMemo(() => shapeOf(only(schema, SINK_OPTIONS), schema), [schema]);
  const to = typeof config.to === "string" ? config.to : "";
  return (
    <div className="stack copy-form">
      <div className="field">
        <label htmlFor={id}>To</label>
        <PlaceField
          id={id}
          value={to}
          placeholder="data:orders, out/orders.parquet, shop:public.orders"
          onChange={(place) => onChange({ ...config, to: place || undefined })}
        />
        <span className="help" id={`${id}-help`}>
          A dataset (data:name), a file whose ending tells its format, or a table or file of a connection.
        </span>
      </div>
      <SchemaField
        shape={shape}
        value={pick(config, SINK_OPTIONS)}
        label="the destination"
        onChange={(options) => onChange(withOptions(config, SINK_OPTIONS, options as never))}
      />
    </div>
  );
}
