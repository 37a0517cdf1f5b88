import "../forms.css";
import { useId } from "react";
import { Choice } from "./Choice";
import { EitherField } from "./EitherField";
import { JsonField } from "./JsonField";
import { ListField } from "./ListField";
import { MapField } from "./MapField";
import { ObjectFields } from "./ObjectFields";
import type { ShapeProps } from "./props";
import { Words } from "./Words";

/** Longer texts get several lines. */
const LINE = 46;

/** A value as its shape wants to be asked for. */
export function SchemaField(props: ShapeProps) {
  const { shape, value, onChange, label, id, describedBy, words } = props;
  const list = useId();
  const common = { id, "aria-label": id ? undefined : label, "aria-describedby": describedBy, className: "input" };
  switch (shape.kind) {
    case "object":
      return <ObjectFields {...props} shape={shape} inner={SchemaField} />;
    case "list":
      return <ListField {...props} shape={shape} inner={SchemaField} />;
    case "map":
      return <MapField {...props} shape={shape} inner={SchemaField} />;
    case "either":
      return <EitherField {...props} shape={shape} inner={SchemaField} />;
    case "choice":
      return <Choice {...common} options={shape.options} value={value} onChange={onChange} />;
    case "boolean":
      return (
        <select
          {...common}
          value={String(value === true)}
          onChange={(event) => onChange(event.target.value === "true")}
        >
          <option>false</option>
          <option>true</option>
        </select>
      );
    case "number":
      return (
        <input
          {...common}
          inputMode={shape.integer ? "numeric" : "decimal"}
          value={typeof value === "number" || typeof value === "string" ? value : ""}
          onChange={({ target }) => {
            const number = Number(target.value);
            // What is no number yet stays as it is typed; the server says so.
            onChange(
              target.value.trim() !== "" && Number.isFinite(number) && !target.value.endsWith(".")
                ? number
                : target.value,
            );
          }}
        />
      );
    case "text": {
      const text =
        typeof value === "string" ? value : value === undefined || value === null ? "" : JSON.stringify(value);
      if (text.length > LINE || text.includes("\n"))
        return (
          <textarea
            {...common}
            className="input mono"
            rows={Math.min(12, Math.max(2, text.split("\n").length + Math.floor(text.length / LINE)))}
            value={text}
            onChange={(event) => onChange(event.target.value)}
          />
        );
      return (
        <>
          <input
            {...common}
            list={words && words.length > 0 ? list : undefined}
            value={text}
            onChange={(event) => onChange(event.target.value)}
          />
          <Words id={list} words={words} />
        </>
      );
    }
    default:
      return <JsonField {...common} value={value} onChange={onChange} />;
  }
}
