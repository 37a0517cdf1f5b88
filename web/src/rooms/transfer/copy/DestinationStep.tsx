import { useQuery } from "@tanstack/react-query";
import { useId, useMemo } from "react";
import { SchemaField } from "../../../forms/schema/SchemaField";
import { shapeOf } from "../../../forms/schema/shape";
import { connectionsQuery } from "../queries";
import { only, pick, placeOf, SINK_OPTIONS, targetOf, targetOptions, targetSchema, withOptions } from "./config";
import type { CopyStepProps } from "./CopyPage";
import { PlaceField } from "./PlaceField";

/** Where the rows go, and what becomes of what is there. */
export function DestinationStep({ config, schema, onChange }: CopyStepProps) {
  const id = useId();
  const shape = useMemo(() => shapeOf(only(schema, SINK_OPTIONS), schema), [schema]);
  const connections = useQuery(connectionsQuery()).data?.connections;
  const to = placeOf(config.to);
  const options = targetOptions(config.to);
  const kinds = useMemo(() => new Map((connections ?? []).map(({ name, kind }) => [name, kind ?? ""])), [connections]);
  const target = useMemo(() => {
    const found = targetSchema(schema, to, kinds);
    return found && shapeOf(found, schema);
  }, [schema, to, kinds]);
  const move = (place: string) => {
    // What can be said of a file says nothing to a table.
    const known = Object.keys(targetSchema(schema, place, kinds)?.properties ?? {});
    onChange({ ...config, to: targetOf(place, pick(options, known)) });
  };
  return (
    <div className="stack copy-form">
      <div className="field">
        <label htmlFor={id}>To</label>
        <PlaceField
          id={id}
          value={to}
          placeholder="data:orders, out/orders.parquet, shop:public.orders"
          onChange={move}
        />
        <span className="help" id={`${id}-help`}>
          A dataset (data:name), a file whose ending tells its format, or a table, file or web API of a connection.
        </span>
      </div>
      {target && (
        <SchemaField
          shape={target}
          value={options}
          label="how it is written"
          onChange={(next) => onChange({ ...config, to: targetOf(to, next as never) })}
        />
      )}
      <SchemaField
        shape={shape}
        value={pick(config, SINK_OPTIONS)}
        label="the destination"
        onChange={(options) => onChange(withOptions(config, SINK_OPTIONS, options as never))}
      />
    </div>
  );
}
